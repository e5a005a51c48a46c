// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU's local APIC where the CPU virtualizes it: registers are read from the
//! virtual-APIC page, interrupts delivered and ended there. What reaches the
//! hypervisor are writes with an effect on others, and the ends of interrupts that
//! are triggered by level.
//!
//! In xAPIC mode a page is mapped where the guest has its local APIC, and the CPU redirects
//! each access to it. In other modes none is, because it would be reached: accesses exit.
//!
//! Intel SDM, volume 3: "APIC Virtualization and Virtual Interrupts".

use super::super::map::{self, phys};
use super::super::state::Controls;
use super::begin::forget_translations;
use super::{Guest, fields as field};
use devices::apic::{Handed, LocalApic, Page};
use devices::x86::vmx::{APIC_MODES, secondary};

/// A page to virtualize a local APIC in, if there is room.
pub(super) fn page() -> Option<&'static Page> {
    // SAFETY: a zeroed page of its own, which is never given back; the CPU writes to it while its
    // guest runs, which is while no code here does.
    map::pages(1).map(|page| unsafe { &*page.cast::<Page>() })
}

impl Guest {
    /// The local APIC may be in another mode. One that is off, or of a vCPU that has just been
    /// loaded, has no interrupts.
    pub(in super::super) fn set_apic_mode(&self, controls: &Controls, local: &LocalApic) {
        let Some(page) = local.page() else { return };
        let [msrs, x2apic_msrs] = self.msrs;
        let (mode, root, msrs) = if local.is_extended() {
            (secondary::X2APIC, controls.root, x2apic_msrs)
        } else if local.has_page() {
            (secondary::APIC_ACCESSES, controls.apic_root, msrs)
        } else {
            (0, controls.root, msrs)
        };
        if mode == 0 || !self.launched {
            field::write(field::INTERRUPT_STATUS, 0);
        }
        let others = field::read(field::SECONDARY) & !u64::from(APIC_MODES);
        for (to, value) in [
            (field::SECONDARY, others | u64::from(mode)),
            (field::EPT_POINTER, root),
            (field::MSR_BITMAP, msrs),
            (field::VIRTUAL_APIC, phys(core::ptr::from_ref(page) as u64)),
            (field::APIC_ACCESS, controls.apic_page),
        ] {
            field::write(to, value);
        }
        load_levels(page);
        forget_translations();
    }
}

/// Tells the CPU what a virtualized local APIC requests: whether the CPU delivers an interrupt as
/// soon as the guest takes interrupts. None if software does all that.
#[inline(always)]
pub(in super::super) fn hand_over(local: &mut LocalApic) -> Option<bool> {
    let page = local.page()?;
    let Handed { highest, changed } = local.hand_over();
    let mut status = field::read(field::INTERRUPT_STATUS);
    if u64::from(highest) > status & 0xff {
        status = status & !0xff | u64::from(highest);
        field::write(field::INTERRUPT_STATUS, status);
    }
    if changed {
        load_levels(page);
    }
    Some(status as u8 >> 4 > page.priority() >> 4)
}

/// Ends of interrupts that are triggered by level exit.
#[cold]
fn load_levels(page: &Page) {
    (0..4).for_each(|n| field::write(field::EOI_EXITS + 2 * n, page.levels(n)));
}
