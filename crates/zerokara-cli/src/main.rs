//! The command `zerokara`.

fn main() {}
