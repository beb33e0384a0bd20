//! `[admin]`: health, metrics and `/api/v1`.

use super::{Key, key};
use crate::config::field::{Field, List};

pub(super) const KEYS: &[Key] = &[
    key(
        "admin.listen",
        Field::Address(|draft| &mut draft.admin.listen),
        "Where health, metrics and `/api/v1` are served.",
    ),
    key(
        "admin.allow_remote",
        Field::Flag(|draft| &mut draft.admin.allow_remote),
        "Says that an `admin.listen` other than loopback is meant. There is no authentication: whoever can connect can read statements and routes.",
    ),
    key(
        "admin.allowed_hosts",
        Field::List(
            "a host name such as \"paceline.internal\"",
            List {
                clear: |draft| draft.admin.allowed_hosts.clear(),
                push: |draft, text| {
                    draft.admin.allowed_hosts.push(host_name(text)?);
                    Ok(())
                },
                show: |draft| draft.admin.allowed_hosts.clone(),
            },
        ),
        "Names under which the admin port may be asked, beside `localhost` and IP addresses. Others are refused (421), so that no web page can reach it by DNS rebinding.",
    ),
];

fn host_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || !text.chars().all(good) {
        return Err(format!(
            "{text:?} is not a host name (write it without port and scheme)"
        ));
    }
    Ok(text.to_ascii_lowercase())
}
