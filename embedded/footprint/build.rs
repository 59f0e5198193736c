//! Links for a chip: where memory lies matters to nobody who only weighs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg=-Ttext=0x42000000");
    println!("cargo:rustc-link-arg=--gc-sections");
}
