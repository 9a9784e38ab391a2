//! Server-sent events: whoever looks is told what changed.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, header},
    response::Response,
};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The most pages that are told at a time.
const MOST_LISTENERS: usize = 64;
/// The most messages that wait for one: a page that takes none is let go, and asks anew when it comes back.
const MOST_WAITING: usize = 32;

/// All who are told.
#[derive(Default)]
pub struct Hub(Mutex<Option<Vec<Sender<Bytes>>>>);

impl Hub {
    pub fn new() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }

    fn all(&self) -> MutexGuard<'_, Option<Vec<Sender<Bytes>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that goes on until the server stops or its reader leaves; nothing if there are too many.
    pub fn listen(&self) -> Option<Response> {
        let mut all = self.all();
        let listeners = all.as_mut()?;
        listeners.retain(|listener| !listener.is_closed());
        if listeners.len() >= MOST_LISTENERS {
            return None;
        }
        let (sender, receiver) = channel(MOST_WAITING);
        // The first message tells that the connection stands.
        let _ = sender.try_send(Bytes::from_static(b": hello\n\n"));
        listeners.push(sender);
        let mut response = Response::new(Body::new(Told(receiver)));
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }

    /// Tells all; those that are gone, or take nothing, are let go.
    pub fn tell(&self, message: impl Into<Bytes>) {
        let message = message.into();
        if let Some(listeners) = self.all().as_mut() {
            listeners.retain(|listener| listener.try_send(message.clone()).is_ok());
        }
    }

    /// Ends all answers, and gives no more.
    pub fn close(&self) {
        *self.all() = None;
    }
}

/// The body of an answer that goes on.
struct Told(Receiver<Bytes>);

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_recv(cx);
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
