//! Ctrl-C while training: the first asks to stop after the current step, the second ends the process at once.

use crate::error::{Error, Result};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

struct Flags {
    /// A signal came while training.
    requested: Arc<AtomicBool>,
    /// Signals do what they do in any other program: no training runs, or one signal came already.
    default: Arc<AtomicBool>,
}

static FLAGS: OnceLock<Result<Flags, String>> = OnceLock::new();

fn flags() -> Result<&'static Flags> {
    let install = || {
        let flags = Flags {
            requested: Arc::new(AtomicBool::new(false)),
            default: Arc::new(AtomicBool::new(true)),
        };
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: the first signal arms the default for the second.
            signal_hook::flag::register_conditional_default(signal, flags.default.clone())
                .and_then(|_| signal_hook::flag::register(signal, flags.default.clone()))
                .and_then(|_| signal_hook::flag::register(signal, flags.requested.clone()))
                .map_err(|e| format!("cannot watch for Ctrl-C: {e}"))?;
        }
        Ok(flags)
    };
    FLAGS
        .get_or_init(install)
        .as_ref()
        .map_err(|message| Error::new(message.clone()))
}

/// While it lives, the first Ctrl-C (or SIGTERM) is a request; afterwards signals do what they do by default.
pub(crate) struct Interrupts(&'static Flags);

impl Interrupts {
    pub(crate) fn watch() -> Result<Self> {
        let flags = flags()?;
        flags.requested.store(false, Ordering::SeqCst);
        flags.default.store(false, Ordering::SeqCst);
        Ok(Self(flags))
    }

    /// Whether a signal came.
    pub(crate) fn requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.0.default.store(true, Ordering::SeqCst);
    }
}
