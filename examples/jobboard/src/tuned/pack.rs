//! Validators and compression.

use std::io::Write as _;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, StreamExt as _, stream};

use crate::password::fingerprint;

const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
const GZIP_BYTES_MIN: usize = 1_000;

/// Gives a whole answer to a GET its tag, leaves out what the client has, and compresses the rest. An
/// answer that has a tag already is streamed by whoever made it.
pub(crate) async fn pack(request: Request, next: Next) -> Response {
    let is_get = request.method() == Method::GET;
    let asked = request.headers().clone();
    let response = next.run(request).await;
    if !is_get || response.status() != StatusCode::OK || response.headers().contains_key(ETAG) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = format!("W/\"{}\"", fingerprint(&body));
    if has(&asked, &tag) {
        return not_modified(&tag);
    }
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(validators(&tag));
    if body.len() < GZIP_BYTES_MIN || !takes_gzip(&asked) {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.headers.insert(CONTENT_ENCODING, gzip_value());
    Response::from_parts(parts, Body::from(gzip(&body)))
}

/// The headers of an answer that may be kept, and asked for again by its tag.
pub(crate) fn validators(tag: &str) -> [(HeaderName, HeaderValue); 3] {
    [
        (ETAG, value(tag)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ]
}

/// Whether the client has what this tag stands for.
pub(crate) fn has(asked: &HeaderMap, tag: &str) -> bool {
    asked
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag))
}

pub(crate) fn not_modified(tag: &str) -> Response {
    (
        StatusCode::NOT_MODIFIED,
        HeaderMap::from_iter(validators(tag)),
    )
        .into_response()
}

pub(crate) fn takes_gzip(asked: &HeaderMap) -> bool {
    asked
        .get(ACCEPT_ENCODING)
        .and_then(|codings| codings.to_str().ok())
        .is_some_and(|codings| codings.split(',').any(|coding| coding.trim() == "gzip"))
}

pub(crate) fn gzip_value() -> HeaderValue {
    HeaderValue::from_static("gzip")
}

/// Compresses chunk by chunk.
pub(crate) fn gzip_stream<E>(
    chunks: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> impl Stream<Item = Result<Bytes, E>> {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    stream::unfold(Some((chunks, encoder)), async |state| {
        let (mut chunks, mut encoder) = state?;
        match chunks.next().await {
            // Writing to memory cannot fail.
            Some(Ok(chunk)) => {
                let _ = encoder.write_all(&chunk);
                let ready = std::mem::take(encoder.get_mut());
                Some((Ok(ready.into()), Some((chunks, encoder))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(encoder.finish().unwrap_or_default().into()), None)),
        }
    })
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

fn value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(tag).expect("a tag is hexadecimal digits in quotes")
}
