//! Refuses what is larger than allowed. Rates and shares will have their place here, too.

use http::request::Parts;
use hyper::body::Body;

use crate::Config;
use crate::headers::Survey;
use crate::respond::Refusal;

/// The stage.
#[derive(Debug)]
pub(crate) struct Limit<'a>(&'a Config);

impl<'a> Limit<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self(config)
    }

    /// A body of unknown length is counted while it passes.
    pub(crate) fn check(
        &self,
        head: &Parts,
        survey: &Survey,
        body: &impl Body,
    ) -> Result<(), Refusal> {
        let target_bytes = head
            .uri
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target_bytes > self.0.uri_bytes_max {
            return Err(Refusal::UriTooLong);
        }
        if survey.bytes > self.0.header_bytes_max {
            return Err(Refusal::HeadersTooLarge);
        }
        match self.0.body_bytes_max {
            Some(max) if body.size_hint().lower() > max => Err(Refusal::BodyTooLarge),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;

    use super::*;

    #[test]
    fn the_bounds_themselves_are_within_bounds() {
        let config = Config {
            uri_bytes_max: 10,
            header_bytes_max: 20,
            body_bytes_max: Some(5),
            ..Config::default()
        };
        let check = |target_bytes: usize, header_bytes: usize, body_bytes: usize| {
            let target = format!("/{}", "a".repeat(target_bytes - 1));
            let request = Request::builder()
                .uri(target)
                .header("x", "v".repeat(header_bytes - 5));
            let body = Full::new(Bytes::from(vec![0; body_bytes]));
            let (head, body) = request.body(body).unwrap().into_parts();
            Limit::new(&config).check(&head, &Survey::of(&head.headers), &body)
        };
        assert_eq!(check(10, 20, 5), Ok(()));
        assert_eq!(check(11, 20, 5), Err(Refusal::UriTooLong));
        assert_eq!(check(10, 21, 5), Err(Refusal::HeadersTooLarge));
        assert_eq!(check(10, 20, 6), Err(Refusal::BodyTooLarge));
    }
}
