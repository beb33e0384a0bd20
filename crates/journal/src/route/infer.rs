//! Route templates inferred from paths.

/// Segments of an inferred template; the rest of a longer path is `*`.
const SEGMENTS_MAX: usize = 12;
/// Bytes of a segment; what is longer is a value.
const SEGMENT_BYTES_MAX: usize = 48;
/// Bytes of a template; a longer one ends in `*`.
const BYTES_MAX: usize = 200;

/// Appends the template of a path: each segment that looks like a value becomes `{id}`.
pub(super) fn append_template(path: &str, template: &mut String) {
    let start = template.len();
    for (at, segment) in path
        .strip_prefix('/')
        .unwrap_or(path)
        .split('/')
        .enumerate()
    {
        template.push('/');
        if at >= SEGMENTS_MAX || template.len() - start + segment.len() > BYTES_MAX {
            template.push('*');
            return;
        }
        match split_extension(segment) {
            Some((stem, extension)) if is_identifier(stem.as_bytes()) => {
                template.push_str("{id}");
                template.push_str(extension);
            }
            _ if is_value(segment) => template.push_str("{id}"),
            _ => template.push_str(segment),
        }
    }
}

/// `7.json`: the value, and the extension with its dot.
fn split_extension(segment: &str) -> Option<(&str, &str)> {
    let at = segment.rfind('.')?;
    let extension = &segment[at + 1..];
    let plain = extension.bytes().all(|byte| byte.is_ascii_lowercase());
    ((1..=5).contains(&extension.len()) && plain).then_some((&segment[..at], &segment[at..]))
}

/// Whether a segment looks like a value rather than a name.
fn is_value(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    is_identifier(bytes)
        || bytes.len() > SEGMENT_BYTES_MAX
        // Encoded or structured text, such as an e-mail address or `lat,lon`.
        || bytes.iter().any(|byte| !byte.is_ascii_graphic() || b"%@,;:=+|'\"<>(){}".contains(byte))
}

fn is_identifier(bytes: &[u8]) -> bool {
    is_number(bytes)
        || is_uuid(bytes)
        || is_long_hexadecimal(bytes)
        || is_date(bytes)
        || has_long_number(bytes)
        || is_token(bytes)
}

/// `7`, `-7`, `3.5`; but `v1` is a name.
fn is_number(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let numeric = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    digits.first().is_some_and(u8::is_ascii_digit) && digits.iter().all(numeric)
}

/// Five groups of 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_uuid(bytes: &[u8]) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match byte {
            b'-' => dash(at),
            _ => !dash(at) && byte.is_ascii_hexdigit(),
        })
}

/// Twelve hexadecimal digits or more, at least one of them a figure: `facade` and `deadbeefcafe` are words.
fn is_long_hexadecimal(bytes: &[u8]) -> bool {
    bytes.len() >= 12
        && bytes.iter().all(u8::is_ascii_hexdigit)
        && bytes.iter().any(u8::is_ascii_digit)
}

/// `2026-11-20`, with or without a time: four figures, a dash, two figures, and only what times have.
fn is_date(bytes: &[u8]) -> bool {
    let figures = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    figures(0..4)
        && bytes.get(4) == Some(&b'-')
        && figures(5..7)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"-:.+TZtz".contains(byte))
}

/// Five figures in a row: `order-100234`, `INV20260001`.
fn has_long_number(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| !byte.is_ascii_digit())
        .any(|run| run.len() >= 5)
}

/// Sixteen letters and figures or more that change so often between figures, capitals and small
/// letters as words do not: base64, ULID, nanoid, Firebase ids.
fn is_token(bytes: &[u8]) -> bool {
    let figures = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let class = |byte: &u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    };
    let plain = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte));
    let changes = bytes
        .windows(2)
        .filter(|pair| class(&pair[0]) != class(&pair[1]))
        .count();
    plain && bytes.len() >= 16 && figures >= 2 && changes * 3 >= bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(path: &str) -> String {
        let mut template = String::new();
        append_template(path, &mut template);
        template
    }

    #[test]
    fn values_become_parameters_and_names_stay() {
        let rows = [
            ("/", "/"),
            ("", "/"),
            ("/jobs", "/jobs"),
            ("/jobs/", "/jobs/"),
            ("/jobs/7", "/jobs/{id}"),
            ("/jobs/7/skills/12", "/jobs/{id}/skills/{id}"),
            ("/jobs/-1", "/jobs/{id}"),
            ("/v1/jobs", "/v1/jobs"),
            ("/api/v2.1/jobs", "/api/v2.1/jobs"),
            ("/u/6fa459ea-ee8a-3ca4-894e-db77e160355e", "/u/{id}"),
            ("/u/6FA459EA-EE8A-3CA4-894E-DB77E160355E/x", "/u/{id}/x"),
            ("/commit/3f5d6dc0f732", "/commit/{id}"),
            ("/o/507f1f77bcf86cd799439011", "/o/{id}"),
            ("/facade/deadbeef", "/facade/deadbeef"),
            ("/report/2026-11-20", "/report/{id}"),
            ("/report/2026-11", "/report/{id}"),
            ("/at/2026-11-20T10:00:00Z", "/at/{id}"),
            ("/y/dQw4w9WgXcQ7aB3x", "/y/{id}"),
            ("/ulid/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/ulid/{id}"),
            ("/order/order-100234", "/order/{id}"),
            ("/users/ann%40example.org", "/users/{id}"),
            ("/users/ann@example.org", "/users/{id}"),
            ("/oauth2/callback", "/oauth2/callback"),
            ("/terms-of-service", "/terms-of-service"),
            ("/reset-password-step-2", "/reset-password-step-2"),
            ("/internationalization", "/internationalization"),
            (
                "/getUserApplicationsByCompany",
                "/getUserApplicationsByCompany",
            ),
            ("/files/site.css", "/files/site.css"),
            ("/jobs/7.json", "/jobs/{id}.json"),
            (
                "/jobs/6fa459ea-ee8a-3ca4-894e-db77e160355e.pdf",
                "/jobs/{id}.pdf",
            ),
            ("/jobs/7.", "/jobs/{id}"),
            ("/..", "/.."),
            ("/a//b", "/a//b"),
            (
                "/1/2/3/4/5/6/7/8/9/10/11/12/13/14",
                "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/*",
            ),
        ];
        for (path, expected) in rows {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn templates_are_short_and_stay_as_they_are(path in "/[!-~/]{0,400}") {
            let once = template(&path);
            prop_assert!(once.len() <= BYTES_MAX + 6, "{}", once.len());
            prop_assert!(once.is_ascii());
            prop_assert!(once.starts_with('/'));
        }

        #[test]
        fn numbers_and_uuids_never_show(number: u64, uuid: u128) {
            let uuid = format!("{uuid:032x}");
            let uuid = format!("{}-{}-{}-{}-{}", &uuid[..8], &uuid[8..12], &uuid[12..16], &uuid[16..20], &uuid[20..]);
            prop_assert_eq!(template(&format!("/a/{number}/b/{uuid}")), "/a/{id}/b/{id}");
        }
    }
}
