//! Where the two programs lie in memory.

fn main() {
    let folder = env!("CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=boot.x");
    println!("cargo:rerun-if-changed=app.x");
    println!("cargo:rerun-if-env-changed=BUOY_RELEASE_KEY");
    for (program, script) in [("boot", "boot"), ("app", "app"), ("answers", "app")] {
        println!("cargo:rustc-link-arg-bin={program}=-T{folder}/{script}.x");
    }
    println!("cargo:rustc-link-arg-bins=--gc-sections");
    println!("cargo:rustc-link-arg-bins=--nmagic");
}
