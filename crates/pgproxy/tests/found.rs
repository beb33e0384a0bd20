//! What the random tests have found, each as small as it became.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use paceline_testkit::frame;
use support::{Rig, sqlstates, tags};

/// An error skips what follows: a Parse of the unnamed statement that was skipped has not replaced the one before.
#[test]
fn a_skipped_parse_leaves_the_unnamed_statement() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.send(&[frame::parse("", "SELECT 'first'", &[]), frame::sync()].concat());
    assert_eq!(tags(&client.read_until_ready()), "1Z");
    let batch = [
        frame::bind("", "nowhere", &[]),
        frame::parse("", "SELECT 'second'", &[]),
        frame::parse("", "SELECT 'third'", &[]),
        frame::sync(),
    ];
    client.send(&batch.concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    let run = [
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    client.send(&run);
    let frames = client.read_until_ready();
    assert_eq!(tags(&frames), "2DCZ");
    assert_eq!(frames[1].values(), [Some("first".to_owned())]);
    // One that fails has taken the place of the one before, and is none.
    client.send(&[frame::parse("", "SELEKT", &[]), frame::sync()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["42601"]);
    client.send(&run);
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
}
