// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles the FreeRTOS kernel that the crate freertos-next ships, with the
//! port for GICv3 system registers at EL1, and our tasks in `c/`. Paths of
//! this machine stay out of the objects, so that images are reproducible.

use std::error::Error;
use std::path::PathBuf;

const COMPILER: &str = "aarch64-linux-gnu-gcc";
/// The port, relative to the kernel's folder.
const PORT: &str = "portable/GCC/ARM_AARCH64_SRE";
/// What is compiled of the kernel.
const KERNEL: [&str; 6] = [
    "tasks.c",
    "list.c",
    "queue.c",
    "portable/MemMang/heap_4.c",
    "portable/GCC/ARM_AARCH64_SRE/port.c",
    "portable/GCC/ARM_AARCH64_SRE/portASM.S",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rustc-link-arg-bins=-Tguest.ld");
    let kernel = PathBuf::from(std::env::var("DEP_FREERTOS_KERNEL")?);
    let mut build = cc::Build::new();
    build
        .compiler(COMPILER)
        .archiver("aarch64-linux-gnu-ar")
        .pic(false)
        .opt_level(2)
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .flag("-ffreestanding")
        .flag("-fno-pie")
        .flag("-mstrict-align")
        .flag("-mno-outline-atomics")
        .define("GUEST", None)
        .flag(format!("-ffile-prefix-map={}=FreeRTOS-Kernel", kernel.display()))
        .include("c")
        .include("c/libc")
        .include(kernel.join("include"))
        .include(kernel.join(PORT))
        .files(KERNEL.map(|file| kernel.join(file)))
        .file("c/tasks.c")
        .file("c/vectors.S");
    build.try_compile("freertos").map_err(|error| {
        format!("{error}\n{COMPILER} is needed (Debian package gcc-aarch64-linux-gnu)").into()
    })
}
