//! Models' files that change while they are served.

use crate::served::Served;
use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

/// What became of a model whose file changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Requests that come from here on are answered by what is in the file now.
    Swapped {
        /// The model's name.
        name: String,
    },
    /// What is in the file now is no model that can be served; the model stays what it was.
    Kept {
        /// The model's name.
        name: String,
        /// What is wrong with the file.
        why: String,
    },
}

/// Who is told of changes.
pub(crate) type Told = Arc<dyn Fn(Change) + Send + Sync>;

/// A thread that looks at files now and then. It ends when this is dropped.
pub(crate) struct Watch {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(models: Vec<Arc<Served>>, every: Duration, told: Told) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let look = move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                for served in &models {
                    let name = served.name().to_string();
                    match served.look() {
                        None => {}
                        Some(Ok(())) => told(Change::Swapped { name }),
                        Some(Err(error)) => told(Change::Kept {
                            name,
                            why: error.to_string(),
                        }),
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("watch".into()).spawn(look)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Watch {
    /// Ends without waiting for a model that is being loaded.
    pub fn leave(mut self) {
        drop(self.thread.take());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with was printed.
            let _ = thread.join();
        }
    }
}
