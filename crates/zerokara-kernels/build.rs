//! Tells the crate whether it is compiled for speed. The profile may be a debugging one whose dependencies are optimised, so
//! that no `cfg` knows; the level of optimisation is told to build scripts alone.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(unoptimised)");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    if level == "0" {
        println!("cargo::rustc-cfg=unoptimised");
    }
}
