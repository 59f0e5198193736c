//! Links for a chip: where memory lies matters to nobody who only weighs. As in the linker scripts of chips' runtimes, no tables to unwind
//! the stack by are loaded: nothing unwinds.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=discard.x");
    println!("cargo:rustc-link-arg=-Ttext=0x42000000");
    println!("cargo:rustc-link-arg=--gc-sections");
    println!("cargo:rustc-link-arg=-T{}/discard.x", env!("CARGO_MANIFEST_DIR"));
}
