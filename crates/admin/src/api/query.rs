//! The query of `/api/v1/requests`.

/// Reads `limit=N&route=GET%20/jobs`. What is not known is refused, so that a slip does not look like an answer.
pub(super) fn limit_and_route(
    query: &str,
    limit_default: usize,
    limit_max: usize,
) -> Result<(usize, Option<String>), String> {
    let mut limit = limit_default;
    let mut route = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=limit_max).contains(limit))
                    .ok_or_else(|| format!("limit must be a number from 1 to {limit_max}."))?;
            }
            "route" => {
                let decoded = decode(value);
                route = Some(decoded.ok_or("route is not percent-encoded UTF-8 text.")?);
            }
            _ => {
                return Err(format!(
                    "There is no parameter {name:?}; there are limit and route."
                ));
            }
        }
    }
    Ok((limit, route))
}

/// Percent-decodes, with `+` for a space, as HTML forms and most clients write queries.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                hexadecimal(digits)?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digits
        .iter()
        .try_fold(0, |value, byte| Some(value * 16 + digit(*byte)?))?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let rows = [
            ("", Ok((50, None))),
            ("limit=7", Ok((7, None))),
            (
                "route=GET%20/jobs/%7Bid%7D&limit=1",
                Ok((1, Some("GET /jobs/{id}"))),
            ),
            ("route=GET+/jobs", Ok((50, Some("GET /jobs")))),
            ("&&", Ok((50, None))),
            ("limit=0", Err("from 1 to 100")),
            ("limit=101", Err("from 1 to 100")),
            ("limit", Err("from 1 to 100")),
            ("route=%", Err("percent-encoded")),
            ("route=%zz", Err("percent-encoded")),
            ("route=%ff", Err("percent-encoded")),
            ("route=%+1", Err("percent-encoded")),
            ("rout=x", Err("no parameter")),
        ];
        for (query, expected) in rows {
            match (limit_and_route(query, 50, 100), expected) {
                (Ok((limit, route)), Ok(expected)) => {
                    assert_eq!((limit, route.as_deref()), expected, "{query}");
                }
                (Err(reason), Err(expected)) => {
                    assert!(reason.contains(expected), "{query}: {reason}")
                }
                (got, _) => panic!("{query}: {got:?}"),
            }
        }
    }
}
