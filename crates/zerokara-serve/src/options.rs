//! How a server listens and what it bears.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use zerokara_train::{Error, Result};

/// The most samples that can be computed together.
pub const MOST_IN_A_BATCH: usize = 1024;

/// How a [`Server`](crate::Server) listens, how it puts requests together, and how much it bears.
///
/// ```
/// let options = zerokara_serve::Options::default();
/// assert!(options.host.is_loopback());
/// assert_eq!(options.batch, 32);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; this machine alone unless told otherwise.
    pub host: IpAddr,
    /// The port to listen on; 0 chooses a free one.
    pub port: u16,
    /// What a request must bring as `Authorization: Bearer`, if anything. The page takes it from its address, behind
    /// `#token=`.
    pub token: Option<String>,
    /// The most samples that are computed together, up to [`MOST_IN_A_BATCH`]. They are fewer where a sample would not have the
    /// bits that it has alone.
    pub batch: usize,
    /// How long the first sample of a batch waits for others. With 0 a batch is what came while the one before was computed.
    pub wait: Duration,
    /// The most samples that wait for a model; what comes then is told to come again.
    pub queue: usize,
    /// The most bytes of a request's body.
    pub max_body: usize,
    /// The most pixels of a picture, which take far more memory than its file.
    pub max_pixels: u64,
    /// The longest time that a request's head, its body, and its answer may each take.
    pub timeout: Duration,
    /// The most connections at a time; others wait to be accepted.
    pub connections: usize,
    /// How often models' files are looked at.
    pub watch: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            token: None,
            batch: 32,
            wait: Duration::ZERO,
            queue: 1024,
            max_body: 10_000_000,
            max_pixels: 16_000_000,
            timeout: Duration::from_secs(10),
            connections: 512,
            watch: Duration::from_secs(1),
        }
    }
}

/// A token that nobody guesses, for [`Options::token`].
///
/// # Errors
/// If the system gives no random numbers.
pub fn new_token() -> Result<String> {
    let mut bytes = [0; 16];
    let given = getrandom::fill(&mut bytes);
    given.map_err(|e| Error::new(format!("no random numbers for a token: {e}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Options {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// The numbers of samples that programs are compiled for, ascending: a batch is filled up to the next of them. There are
    /// never more than a model keeps programs.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let most = self.batch.clamp(1, MOST_IN_A_BATCH);
        let step = if most <= 64 { 2 } else { 4 };
        let smaller = std::iter::successors(Some(1), |size| Some(size * step));
        smaller
            .take_while(|&size| size < most)
            .chain([most])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_end_with_the_batch_and_are_few() {
        for batch in 1..=MOST_IN_A_BATCH {
            let options = Options {
                batch,
                ..Options::default()
            };
            let sizes = options.sizes();
            assert_eq!(sizes.last(), Some(&batch));
            assert!(sizes.is_sorted_by(|a, b| a < b) && sizes[0] == 1);
            assert!(sizes.len() <= 8, "{sizes:?}");
        }
        assert_eq!(Options::default().sizes(), [1, 2, 4, 8, 16, 32]);
    }
}
