// SPDX-License-Identifier: MIT OR Apache-2.0
//! A test of the system in manifest.toml: `cargo test --package example`.

use bulkhead_test::{Error, Report, State, System, secs};

#[test]
fn an_rtos_goes_on_whatever_happens_around_it() -> Result<(), Error> {
    let mut report = Report::to(concat!(env!("CARGO_TARGET_TMPDIR"), "/junit.xml"), "example");
    let system = System::start("manifest.toml")?;
    let (linux, rtos) = (system.partition("linux"), system.partition("rtos"));
    report.case("Linux has a shell", || {
        linux.wait_for("linux# $", secs(240))?;
        linux.send("uname -m\n")?;
        linux.wait_for("^aarch64$", secs(60))
    })?;
    report.case("a killed driver is off", || {
        system.mailbox().kill("driver")?;
        system.mailbox().wait_for("driver", State::Off, secs(60))
    })?;
    let storm = report.case("bells ring", || system.doorbell_storm("storm", secs(3)))?;
    assert!(storm.rings > 10 * storm.rung["rtos"] && storm.rung["rtos"] > 0, "{storm:?}");
    rtos.skip()?;
    report.case("the RTOS goes on", || rtos.wait_for("^heartbeat", secs(60)))?;
    report.verdict()
}
