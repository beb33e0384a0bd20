//! Messages in a buffer: boundaries, limits, streaming.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use paceline_pgwire::backend::{CommandComplete, ReadyForQuery, TransactionStatus};
use paceline_pgwire::frontend::{Bind, Query};
use paceline_pgwire::{
    Error, ErrorFields, Fault, Header, Limits, Piece, Reader, Report, Side, SqlState, TagSet, Wire,
};
use proptest::prelude::*;

fn raw(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![tag];
    frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// Feeds the stretches one by one, as reads from a socket would, and joins what comes out: each message with its tag, in order.
fn feed(limits: &Limits, stretches: &[&[u8]]) -> Result<Vec<(u8, Vec<u8>)>, Error> {
    let (mut reader, mut buf) = (Reader::default(), BytesMut::new());
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    for stretch in stretches {
        buf.extend_from_slice(stretch);
        while let Some(piece) = reader.next(limits, &buf)? {
            match piece {
                Piece::Message(message) => messages.push((message.tag(), message.frame().to_vec())),
                Piece::Part(part) if part.is_first => {
                    messages.push((part.tag, part.bytes.to_vec()))
                }
                Piece::Part(part) => {
                    let (tag, bytes) = messages.last_mut().unwrap();
                    assert_eq!(*tag, part.tag);
                    bytes.extend_from_slice(part.bytes);
                }
            }
            buf.advance(piece.len());
        }
        assert!(reader.wants(limits, &buf)? > if reader.missing() > 0 { 0 } else { buf.len() });
    }
    assert!(buf.is_empty(), "bytes are left behind");
    assert_eq!(reader.missing(), 0);
    Ok(messages)
}

fn backend_messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let small = prop::sample::select(b"123CDEGHIKNRSTVWZAcdnstv".to_vec());
    let message = prop_oneof![
        8 => (small, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(tag, body)| raw(tag, &body)),
        1 => (prop::sample::select(b"DEdTN".to_vec()), 60_000..80_000_usize)
            .prop_map(|(tag, len)| raw(tag, &vec![0x5a; len])),
    ];
    prop::collection::vec(message, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn however_the_bytes_are_cut_the_messages_are_the_same(
        frames in backend_messages(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let wire = frames.concat();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        let stretches: Vec<&[u8]> = at.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
        let expected: Vec<_> = frames.iter().map(|frame| (frame[0], frame.clone())).collect();
        prop_assert_eq!(feed(&Limits::backend(), &stretches).unwrap(), expected);
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_messages(
        bodies in prop::collection::vec((prop::sample::select(b"QPBDECHSdcfFp".to_vec()),
            prop::collection::vec(any::<u8>(), 0..30)), 0..8),
    ) {
        let frames: Vec<_> = bodies.iter().map(|(tag, body)| raw(*tag, body)).collect();
        let wire = frames.concat();
        let stretches: Vec<&[u8]> = wire.chunks(1).collect();
        let expected: Vec<_> = frames.iter().map(|frame| (frame[0], frame.clone())).collect();
        prop_assert_eq!(feed(&Limits::frontend(1 << 20), &stretches).unwrap(), expected);
    }

    #[test]
    fn scan_passes_and_finds_what_next_gives(frames in backend_messages(), end in any::<prop::sample::Index>()) {
        let stop = TagSet::of(b"CEZ");
        let wire = frames.concat();
        let buf = &wire[..end.index(wire.len() + 1)];
        let limits = Limits::backend();

        let (mut reader, mut at) = (Reader::default(), 0);
        let mut expected = VecDeque::new();
        let mut ended = 0;
        while let Some(piece) = reader.next(&limits, &buf[at..]).unwrap() {
            if stop.contains(piece.tag()) {
                expected.push_back((at, piece));
            } else {
                ended += u32::from(reader.missing() == 0);
            }
            at += piece.len();
        }

        let (mut scanner, mut scanned_to, mut messages) = (Reader::default(), 0, 0);
        loop {
            let scanned = scanner.scan(&limits, &buf[scanned_to..], &stop).unwrap();
            scanned_to += scanned.passed;
            messages += scanned.messages;
            let Some(piece) = scanned.found else { break };
            prop_assert_eq!(expected.pop_front(), Some((scanned_to, piece)));
            scanned_to += piece.len();
        }
        prop_assert!(expected.is_empty());
        prop_assert_eq!((scanned_to, messages, scanner), (at, ended, reader));
    }

    #[test]
    fn no_bytes_can_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for limits in [Limits::backend(), Limits::frontend(100), Limits::authentication()] {
            let (mut reader, mut at) = (Reader::default(), 0);
            while let Ok(Some(piece)) = reader.next(&limits, &bytes[at..]) {
                at += piece.len();
            }
            let _ = reader.wants(&limits, &bytes[at..]);
        }
    }
}

#[test]
fn lying_lengths_are_refused_before_anything_is_kept() {
    let frontend = Limits::frontend(1000);
    let check = |limits: &Limits, head: &[u8], expected: Option<u32>| {
        let error = limits.header(head).unwrap_err();
        match expected {
            Some(max) => {
                assert!(
                    matches!(error, Error::Length { length_max, .. } if length_max == max),
                    "{error}"
                );
            }
            None => assert!(matches!(error, Error::UnknownTag { .. }), "{error}"),
        }
        assert_eq!(Reader::default().next(limits, head).unwrap_err(), error);
        error
    };
    for length in [0_u32, 1, 2, 3, 1005, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let head = [&b"Q"[..], &length.to_be_bytes()].concat();
        let error = check(&frontend, &head, Some(1004));
        assert_eq!(
            (error.fault(), error.sqlstate()),
            (Fault::Client, SqlState::PROTOCOL_VIOLATION)
        );
    }
    check(&frontend, b"S\0\0\xff\xff", Some(10_000));
    check(&frontend, b"d\x40\0\0\0", Some(0x3fff_fffe));
    check(&frontend, b"G\0\0\0\x04", None);
    check(&frontend, b"\x16", None); // the first byte of a TLS handshake
    check(&Limits::authentication(), b"Q\0\0\0\x05", None);
    let error = check(&Limits::backend(), b"Z\0\x10\0\0", Some(30_000));
    assert_eq!(error.fault(), Fault::Server);
    assert_eq!(
        check(&Limits::backend(), b"\xff", None).fault(),
        Fault::Server
    );
    // The largest that is allowed passes.
    assert_eq!(
        frontend.header(b"Q\0\0\x03\xec").unwrap(),
        Some(Header {
            tag: b'Q',
            body_len: 1000
        })
    );
}

#[test]
fn a_gibibyte_row_passes_with_only_its_header_in_memory() {
    let limits = Limits::backend();
    let body_len: u32 = 0x3fff_fffa;
    let header = [&b"D"[..], &(body_len + 4).to_be_bytes()].concat();
    let mut reader = Reader::default();
    let piece = reader.next(&limits, &header).unwrap().unwrap();
    assert!(matches!(piece, Piece::Part(part) if part.is_first && part.missing == body_len));
    let chunk = [0_u8; 16 * 1024];
    let mut rest = body_len as usize;
    while rest > chunk.len() {
        assert_eq!(
            reader.next(&limits, &chunk).unwrap().unwrap().len(),
            chunk.len()
        );
        rest -= chunk.len();
    }
    // The last stretch and the next message in one read.
    let mut end = vec![0; rest];
    ReadyForQuery(TransactionStatus::Idle).write(&mut end);
    let piece = reader.next(&limits, &end).unwrap().unwrap();
    assert!(matches!(piece, Piece::Part(part) if part.missing == 0 && part.bytes.len() == rest));
    let piece = reader.next(&limits, &end[rest..]).unwrap().unwrap();
    assert!(matches!(piece, Piece::Message(message) if message.tag() == b'Z'));
}

#[test]
fn a_large_bind_shows_its_names_in_its_first_part() {
    let limits = Limits::frontend(1 << 20);
    let rest = vec![7; 200_000];
    let mut wire = Vec::new();
    Bind {
        portal: b"",
        statement: b"s1",
        rest: &rest,
    }
    .write(&mut wire);
    let mut reader = Reader::default();
    assert_eq!(reader.next(&limits, &wire[..100]).unwrap(), None);
    assert_eq!(reader.wants(&limits, &wire[..100]).unwrap(), 4096);
    let Some(Piece::Part(part)) = reader.next(&limits, &wire[..5000]).unwrap() else {
        panic!()
    };

    let bind = Bind::parse(part.body()).unwrap();
    assert_eq!(bind.statement, b"s1");
    let mut renamed = Vec::new();
    let other = Bind {
        statement: b"another_name",
        ..bind
    };
    other.write_first_part(part.missing, &mut renamed);
    renamed.extend_from_slice(&wire[5000..]);
    let mut expected = Vec::new();
    Bind {
        portal: b"",
        statement: b"another_name",
        rest: &rest,
    }
    .write(&mut expected);
    assert!(renamed == expected);
}

#[test]
fn a_large_error_shows_its_sqlstate_in_its_first_part() {
    let text = "x".repeat(100_000);
    let mut wire = Vec::new();
    Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, &text).write(&mut wire);
    let piece = Reader::default()
        .next(&Limits::backend(), &wire[..4096])
        .unwrap();
    let Some(Piece::Part(part)) = piece else {
        panic!()
    };
    assert_eq!(
        ErrorFields::prefix(part.body()).sqlstate(),
        Some(SqlState::PROGRAM_LIMIT_EXCEEDED)
    );
    assert!(ErrorFields::parse(part.body()).is_err());
}

#[test]
fn a_message_can_be_streamed_by_choice() {
    let limits = Limits::frontend(1 << 20);
    let mut wire = Vec::new();
    Query {
        text: b"SELECT 12345",
    }
    .write(&mut wire);
    let header = limits.header(&wire).unwrap().unwrap();
    let mut reader = Reader::default();
    reader.stream(header, 7);
    let Some(Piece::Part(part)) = reader.next(&limits, &wire[7..]).unwrap() else {
        panic!()
    };
    assert_eq!(
        (part.bytes, part.missing, part.is_first),
        (&wire[7..], 0, false)
    );
    assert!(!part.body().is_empty());
    reader.stream(header, header.frame_len());
    assert_eq!(reader.missing(), 0);
}

#[test]
fn a_taken_frame_shares_the_buffer() {
    let mut buf = BytesMut::new();
    CommandComplete { tag: b"BEGIN" }.write(&mut buf);
    CommandComplete { tag: b"COMMIT" }.write(&mut buf);
    let at = buf.as_ptr();
    let frame = Reader::default()
        .take(&Limits::backend(), &mut buf)
        .unwrap()
        .unwrap();
    assert_eq!(frame.message().frame().as_ptr(), at);
    assert_eq!(
        CommandComplete::parse(frame.message().body()).unwrap().tag,
        b"BEGIN"
    );
    assert_eq!(frame.into_bytes().len(), 11);
    assert_eq!(buf.len(), 12);
    buf.truncate(11);
    assert_eq!(
        Reader::default()
            .take(&Limits::backend(), &mut buf)
            .unwrap(),
        None
    );
}

#[test]
fn errors_name_the_culprit() {
    let error = Limits::backend().header(b"\x07").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server sent a message of unknown type 0x07"
    );
    let error = Limits::frontend(10)
        .header(b"Q\xff\xff\xff\xff")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the client sent a message of type 'Q' with an invalid length of 4294967295 bytes (at most 14 are allowed)"
    );
    assert_eq!(Side::Backend.to_string(), "server");
}
