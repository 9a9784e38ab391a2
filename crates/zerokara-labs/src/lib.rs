//! The experiments of the book 『ゼロから作るDeep Learning』 (*Deep Learning from Scratch*, Koki Saitoh, O'Reilly
//! Japan) as laboratories: each runs in seconds, says its numbers, draws its pictures, and checks what it states.
//!
//! A lab is one short file in `labs/`, which uses only the public library, with its explanation in English and Japanese
//! beside it. [`LABS`] lists them; [`Options::run`] runs one and gives its page, [`gallery`] the page that lists them all.
//!
//! ```
//! use zerokara_labs::{Options, lab};
//!
//! let softmax = lab("softmax").unwrap();
//! let report = Options::new().quick().quiet().run(softmax)?;
//! assert!(report.page().contains("<svg"));
//! # Ok::<(), zerokara::Error>(())
//! ```

mod lab;
mod labs;
mod networks;
mod options;
mod page;
mod parallel;
mod play;
mod session;
mod words;

pub use lab::{Choice, Kind, Lab, Text};
pub use labs::LABS;
pub use networks::Trained;
pub use options::Options;
pub use page::{Report, gallery};
pub use play::Play;
pub use session::{Progress, Session};
pub use zerokara::train::language::Language;

/// The lab of this name.
pub fn lab(name: &str) -> Option<&'static Lab> {
    LABS.iter().copied().find(|lab| lab.name() == name)
}

/// Does something in a session of the lab, without a word at the terminal: for what labs share.
///
/// # Errors
/// That of `body`.
pub fn with_session<T>(
    lab: &'static Lab,
    options: &Options,
    body: impl FnOnce(&mut Session<'_>) -> zerokara::Result<T>,
) -> zerokara::Result<T> {
    body(&mut Session::new(lab, options, &mut |_| Ok(())))
}

/// What labs use.
mod prelude {
    pub(crate) use crate::{lab::lab, *};
    pub(crate) use zerokara::{figures::*, prelude::*};
}
