//! The labs, a folder for each chapter of the book. A lab is a file here, its explanations beside it
//! (`.en.md`, `.ja.md`), and its name in the list below.

use crate::Lab;

/// Declares the labs of a chapter: a module for each, and the list in the order of the pages.
macro_rules! labs {
    ($($chapter:ident { $($lab:ident),* $(,)? })*) => {
        $(mod $chapter { $(pub(super) mod $lab;)* })*

        /// All labs, in the order of the book.
        pub const LABS: &[&Lab] = &[$($(&$chapter::$lab::LAB),*),*];
    };
}

labs! {
    chapter3 {
        softmax,
    }
}
