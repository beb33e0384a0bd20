//! What is fuzzed: every parser of the crate on arbitrary bytes. Shared by the libFuzzer target and by a plain test.
//!
//! The first byte chooses what the others are, the second where they are cut in two. Beyond not panicking: bytes cut anywhere give the
//! same messages; what is parsed is written again as it came; names can be exchanged and nothing else moves.

use bytes::{Buf, BytesMut};
use paceline_pgwire::auth::{
    ChannelBinding, ClientAuth, Credential, Md5Hash, SCRAM_SHA_256, SCRAM_SHA_256_PLUS,
    ScramServer, Verifier,
};
use paceline_pgwire::backend::Backend;
use paceline_pgwire::frontend::{Bind, BindRest, Frontend};
use paceline_pgwire::startup::Packet;
use paceline_pgwire::{Error, ErrorFields, Limits, Message, Piece, Reader, Wire};

/// Runs everything on one input.
pub(crate) fn run(data: &[u8]) {
    let [kind, cut, data @ ..] = data else { return };
    match kind % 4 {
        0 => both_ways(&Limits::frontend(4096), data, *cut, frontend),
        1 => both_ways(&Limits::backend(), data, *cut, backend),
        2 => startup(data),
        _ => scram(data, *cut),
    }
}

/// Reads all at once and in two stretches; either way the same comes out.
fn both_ways(limits: &Limits, data: &[u8], cut: u8, check: fn(Message<'_>)) {
    let cut = data.len() * usize::from(cut) / 255;
    let (first, second) = data.split_at(cut);
    let whole = read(limits, &[data], check);
    let halves = read(limits, &[first, second], |_| {});
    assert_eq!(whole, halves);
}

/// The bytes of each message that ended, those of the last that did not, and the error that stopped it.
fn read(
    limits: &Limits,
    stretches: &[&[u8]],
    check: fn(Message<'_>),
) -> (Vec<Vec<u8>>, Vec<u8>, Option<Error>) {
    let (mut reader, mut buf) = (Reader::default(), BytesMut::new());
    let (mut ended, mut current) = (Vec::new(), Vec::new());
    for stretch in stretches {
        buf.extend_from_slice(stretch);
        loop {
            let piece = match reader.next(limits, &buf) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return (ended, current, Some(error)),
            };
            if let Piece::Message(message) = piece {
                check(message);
            }
            current.extend_from_slice(piece.bytes());
            if reader.missing() == 0 {
                ended.push(std::mem::take(&mut current));
            }
            let len = piece.len();
            buf.advance(len);
        }
        assert!(
            reader
                .wants(limits, &buf)
                .is_ok_and(|wants| reader.missing() > 0 || wants > buf.len())
        );
    }
    // What has begun and is waited for is begun too, whether it is handed on in parts or kept.
    current.extend_from_slice(&buf);
    (ended, current, None)
}

fn frontend(message: Message<'_>) {
    let Ok(parsed) = Frontend::parse(message) else {
        return;
    };
    assert_written(message.frame(), |out| parsed.write(out));
    if let Frontend::Bind(bind) = parsed {
        let mut renamed = Vec::new();
        Bind {
            statement: b"another",
            ..bind
        }
        .write(&mut renamed);
        let other = Bind::parse(&renamed[5..]).expect("a Bind under another name");
        assert_eq!((other.statement, other.rest), (&b"another"[..], bind.rest));
        if let Ok(rest) = BindRest::parse(bind.rest) {
            assert_eq!(rest.values().count(), usize::from(rest.parameter_count));
        }
    }
    if let Frontend::Parse(parse) = parsed {
        assert_eq!(parse.type_oids().len() * 4 + 2, parse.types.len());
    }
}

fn backend(message: Message<'_>) {
    let prefix = ErrorFields::prefix(message.body()).sqlstate();
    let Ok(parsed) = Backend::parse(message) else {
        return;
    };
    assert_written(message.frame(), |out| parsed.write(out));
    match parsed {
        Backend::ErrorResponse(fields) => assert_eq!(fields.sqlstate(), prefix),
        Backend::CommandComplete(complete) => drop(complete.rows()),
        Backend::NegotiateProtocolVersion(told) => drop(told.options().count()),
        Backend::Authentication(request) => {
            let mut out = Vec::new();
            let mut client = ClientAuth::new(b"ada", Credential::Password(b"pencil"), [b'n'; 18]);
            if client.step(request, &mut out).is_err() {
                assert!(out.is_empty(), "a refused request is not answered");
            }
        }
        _ => {}
    }
}

fn startup(data: &[u8]) {
    let Ok(Some((packet, len))) = Packet::parse(data) else {
        return;
    };
    assert_written(&data[..len], |out| packet.write(out));
    if let Packet::Startup(startup) = packet {
        let count = startup.parameters().count();
        assert!(count <= len / 2 && startup.parameters().all(|(name, _)| !name.is_empty()));
        let mut out = Vec::new();
        assert_eq!(startup.negotiate(&mut out), !out.is_empty());
    }
}

/// Two messages of a client who does not know the password: nobody gets in.
fn scram(data: &[u8], cut: u8) {
    let (first, last) = data.split_at(data.len() * usize::from(cut) / 255);
    let verifier = Verifier::mock(&[7; 32], b"ada");
    let binding = ChannelBinding::from_certificate_hash(&[7; 32]);
    for (mechanism, binding) in [(SCRAM_SHA_256, None), (SCRAM_SHA_256_PLUS, Some(binding))] {
        let mut server = ScramServer::new(verifier.clone(), [b'n'; 18]).over(binding);
        if server.first(mechanism.as_bytes(), first).is_ok() {
            assert!(server.last(last).is_err(), "nobody knows this password");
        }
    }
    if let Some(Ok(hash)) = std::str::from_utf8(data).ok().map(Md5Hash::parse) {
        assert_eq!(hash.to_stored().as_bytes(), data);
    }
    if let Ok(verifier) = std::str::from_utf8(data)
        .map_err(drop)
        .and_then(|text| Verifier::parse(text).map_err(drop))
    {
        assert_eq!(Verifier::parse(&verifier.to_stored()), Ok(verifier));
    }
}

fn assert_written(expected: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    let mut written = Vec::new();
    write(&mut written);
    assert_eq!(written, expected);
}
