//! Trainer, callbacks, run folders and reports of Zerokara.
