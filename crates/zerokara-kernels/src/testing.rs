//! Tests of other crates on every description of a machine.

use crate::isa::Isa;
use std::process::Command;

/// Runs tests of this test binary again, by their full names, for each description of a machine but the one of this process:
/// in a process of its own, since an instruction set is chosen once. Nothing in a process that was started so.
///
/// # Panics
///
/// If one of them fails, or there is none of that name.
pub fn again_on_other_machines(tests: &[&str]) {
    const CHILD: &str = "ZEROKARA_AGAIN";
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let own = Isa::detect().unwrap_or(Isa::Portable);
    for isa in Isa::available().into_iter().filter(|&isa| isa != own) {
        let name = isa.name();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(tests)
            .arg("--exact")
            .env(CHILD, "1")
            .env("ZEROKARA_ISA", name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "on {name}: {text}{errors}");
        let passed = format!(" {} passed;", tests.len());
        assert!(text.contains(&passed), "on {name}: {text}");
    }
}
