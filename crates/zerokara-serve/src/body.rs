//! The body of a request: its kind, how much of it is taken, and for how long it is waited for.

use crate::{
    options::Options,
    refusal::{Outcome, Refusal},
};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT},
    },
};
use http_body_util::BodyExt;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Csv,
    Picture,
    /// A form with fields between these boundaries.
    Form(String),
}

impl Kind {
    /// What the header says.
    pub fn of(headers: &HeaderMap) -> Outcome<Self> {
        let told = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let told = told.unwrap_or_default();
        let essence = told.split(';').next().unwrap_or_default().trim();
        match &*essence.to_ascii_lowercase() {
            "application/json" => Ok(Self::Json),
            "text/csv" => Ok(Self::Csv),
            kind if PICTURES.contains(&kind) => Ok(Self::Picture),
            "multipart/form-data" => multer::parse_boundary(told)
                .map(Self::Form)
                .map_err(|_| Refusal::malformed("the form's Content-Type names no boundary")),
            "" => Err(Refusal::unknown_kind(format!(
                "the header Content-Type is missing; {KNOWN}"
            ))),
            _ => Err(Refusal::unknown_kind(format!(
                "{essence:?} is not taken; {KNOWN}"
            ))),
        }
    }
}

/// Kinds of pictures.
pub const PICTURES: [&str; 5] = [
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
];

const KNOWN: &str = "known are application/json, image/png, image/jpeg, image/webp, image/bmp, image/gif, multipart/form-data with a field `image`, and text/csv";

/// How many times the most is read on and thrown away: whoever still sends does not read that it is too much.
const THROWN_AWAY: usize = 4;

/// How many bodies of the largest size are held at once, or more smaller ones.
const HELD: usize = 32;

/// Room for the bodies of all requests, a permit for each byte: connections are many, and each may bring much.
pub(crate) struct Room(Arc<Semaphore>);

/// A body, which takes up room as long as this lives.
pub(crate) struct Held {
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub fn new(options: &Options) -> Self {
        let bytes = options.max_body.saturating_mul(HELD);
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Makes a place for so many bytes more.
    fn extend(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Outcome<()> {
        let wanted = u32::try_from(bytes).ok();
        let more = wanted.and_then(|wanted| self.0.clone().try_acquire_many_owned(wanted).ok());
        let more = more.ok_or_else(|| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large requests are being read; come again in a second",
            )
        })?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// The body, or why it is not taken.
pub(crate) async fn read(request: Request, options: &Options, room: &Room) -> Outcome<Held> {
    let most = options.max_body;
    let too_large = || {
        Refusal::too_large(format!(
            "the body is larger than {most} bytes, which is the most that is taken"
        ))
    };
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let is_too_long = length.is_some_and(|length| length > most as u64);
    if is_too_long && request.headers().contains_key(EXPECT) {
        // Nothing was sent yet.
        return Err(too_large());
    }
    let mut body = request.into_body();
    let all = async {
        let (mut bytes, mut read, mut held) = (Vec::new(), 0, None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::malformed("the body ends before its length"))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            read += data.len();
            if read > most.saturating_mul(THROWN_AWAY) {
                break;
            }
            if read <= most && !is_too_long {
                room.extend(&mut held, data.len())?;
                bytes.extend_from_slice(&data);
            } else {
                (bytes, held) = (Vec::new(), None);
            }
        }
        match read > most || is_too_long {
            true => Err(too_large()),
            false => Ok(Held {
                bytes: bytes.into(),
                _room: held,
            }),
        }
    };
    let within = tokio::time::timeout(options.timeout, all).await;
    within.unwrap_or_else(|_| {
        Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "the body did not come within {} seconds",
                options.timeout.as_secs_f64()
            ),
        ))
    })
}

/// How long what nobody wants is read.
const DISCARDING: Duration = Duration::from_secs(1);

/// Reads what nobody wants, for a while: whoever still sends reads no answer.
pub(crate) async fn discard(mut body: Body) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DISCARDING, all).await;
}

/// The name of the field with a picture.
const IMAGE: &str = "image";

/// The pictures of a form; its other fields are passed over.
pub(crate) async fn pictures(form: Bytes, boundary: String, most: usize) -> Outcome<Vec<Bytes>> {
    let broken = |e: multer::Error| Refusal::malformed(format!("the form cannot be read: {e}"));
    let whole = http_body_util::Full::new(form);
    let mut form = multer::Multipart::new(whole.into_data_stream(), boundary);
    let mut pictures = Vec::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if field.name() != Some(IMAGE) {
            continue;
        }
        pictures.push(field.bytes().await.map_err(broken)?);
        if pictures.len() > most {
            return Err(Refusal::too_large(format!(
                "the form has more than {most} pictures, which are the most that are taken in one request"
            )));
        }
    }
    match pictures.is_empty() {
        true => Err(Refusal::unfit(format!("the form has no field {IMAGE:?}"))),
        false => Ok(pictures),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back() {
        let options = Options {
            max_body: 10,
            ..Options::default()
        };
        let room = Room::new(&options);
        let (mut one, mut other) = (None, None);
        room.extend(&mut one, 300).unwrap();
        room.extend(&mut one, 20).unwrap();
        let refused = room.extend(&mut other, 1).unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        drop(one);
        room.extend(&mut other, 320).unwrap();
    }
}
