//! Every message, both ways: what is written is read again, and what was read is written again byte for byte.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use paceline_pgwire::backend::{
    Authentication, Backend, BackendKeyData, CommandComplete, CopyResponse,
    NegotiateProtocolVersion, Notification, ParameterStatus, ReadyForQuery, TransactionStatus,
};
use paceline_pgwire::frontend::{
    Bind, BindRest, Close, CopyData, CopyFail, Describe, Execute, Frontend, FunctionCall, Parse,
    Password, Query, SaslInitialResponse, SaslResponse, Target,
};
use paceline_pgwire::startup::{CancelRequest, PACKET_BYTES_MAX, Packet, Startup, write_startup};
use paceline_pgwire::{
    Error, ErrorFields, Limits, Message, Piece, Reader, Report, Severity, SqlState, Wire,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8.., 0..40)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..60)
}

fn target() -> impl Strategy<Value = Target> {
    prop::sample::select(vec![Target::Statement, Target::Portal])
}

/// The one message in `wire`.
fn only<'b>(limits: &Limits, wire: &'b [u8]) -> Message<'b> {
    match Reader::default().next(limits, wire).unwrap() {
        Some(Piece::Message(message)) if message.frame().len() == wire.len() => message,
        other => panic!("not one whole message: {other:?}"),
    }
}

fn frontend(message: Frontend<'_>) {
    let mut wire = Vec::new();
    message.write(&mut wire);
    assert_eq!(
        Frontend::parse(only(&Limits::frontend(1 << 20), &wire)).unwrap(),
        message
    );
    // No body that is a byte shorter or longer may be taken for the same message.
    let shorter = &wire[..wire.len() - 1];
    let mut cut = shorter.to_vec();
    if cut.len() >= 5 {
        let length = u32::try_from(cut.len() - 1).unwrap();
        cut[1..5].copy_from_slice(&length.to_be_bytes());
        let parsed = Frontend::parse(only(&Limits::frontend(1 << 20), &cut));
        assert_ne!(parsed, Ok(message));
    }
}

fn backend(message: Backend<'_>) {
    let mut wire = Vec::new();
    message.write(&mut wire);
    assert_eq!(
        Backend::parse(only(&Limits::backend(), &wire)).unwrap(),
        message
    );
}

fn wire_type<'a, M: Wire<'a> + PartialEq + std::fmt::Debug>(message: &M, body: &'a mut Vec<u8>) {
    message.write_body(body);
    assert_eq!(body.len(), message.body_len());
    assert_eq!(&M::parse(body).unwrap(), message);
}

proptest! {
    #[test]
    fn frontend_messages(
        (a, b, rest) in (text(), text(), bytes()),
        target in target(),
        number in any::<u32>(),
        oids in vec(any::<u32>(), 0..9),
    ) {
        let mut types = u16::try_from(oids.len()).unwrap().to_be_bytes().to_vec();
        types.extend(oids.iter().flat_map(|oid| oid.to_be_bytes()));
        let parse = Parse { statement: &a, text: &b, types: &types };
        prop_assert_eq!(parse.type_oids().collect::<Vec<_>>(), oids);
        for message in [
            Frontend::Query(Query { text: &a }),
            Frontend::Parse(parse),
            Frontend::Bind(Bind { portal: &a, statement: &b, rest: &rest }),
            Frontend::Describe(Describe { target, name: &a }),
            Frontend::Close(Close { target, name: &a }),
            Frontend::Execute(Execute { portal: &a, rows_max: number }),
            Frontend::CopyData(CopyData(&rest)),
            Frontend::CopyFail(CopyFail { reason: &a }),
            Frontend::FunctionCall(FunctionCall { function: number, rest: &rest }),
            Frontend::Authentication(&rest),
            Frontend::Flush,
            Frontend::Sync,
            Frontend::Terminate,
            Frontend::CopyDone,
        ] {
            frontend(message);
        }
        wire_type(&Password { password: &a }, &mut Vec::new());
        wire_type(&SaslInitialResponse { mechanism: &a, data: Some(&rest) }, &mut Vec::new());
        wire_type(&SaslInitialResponse { mechanism: &a, data: None }, &mut Vec::new());
        wire_type(&SaslResponse(&rest), &mut Vec::new());
    }

    #[test]
    fn backend_messages(
        (a, b, rest) in (text(), text(), bytes()),
        number in any::<u32>(),
        secret in vec(any::<u8>(), 4..=256),
        salt in any::<[u8; 4]>(),
        formats in vec(0_u16..2, 0..9),
        is_binary in any::<bool>(),
        status in prop::sample::select(vec![
            TransactionStatus::Idle, TransactionStatus::InTransaction, TransactionStatus::Failed,
        ]),
    ) {
        let mut raw_formats = u16::try_from(formats.len()).unwrap().to_be_bytes().to_vec();
        raw_formats.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        let copy = CopyResponse { is_binary, formats: &raw_formats };
        let mechanisms = Authentication::parse(b"\0\0\0\x0aSCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0\0").unwrap();
        for message in [
            Backend::Authentication(Authentication::Ok),
            Backend::Authentication(Authentication::CleartextPassword),
            Backend::Authentication(Authentication::Md5Password { salt }),
            Backend::Authentication(mechanisms),
            Backend::Authentication(Authentication::SaslContinue(&rest)),
            Backend::Authentication(Authentication::SaslFinal(&rest)),
            Backend::Authentication(Authentication::Other { code: 7, data: &rest }),
            Backend::ParameterStatus(ParameterStatus { name: &a, value: &b }),
            Backend::BackendKeyData(BackendKeyData { process_id: number, secret: &secret }),
            Backend::ReadyForQuery(ReadyForQuery(status)),
            Backend::CommandComplete(CommandComplete { tag: &a }),
            Backend::ParseComplete,
            Backend::BindComplete,
            Backend::CloseComplete,
            Backend::NoData,
            Backend::PortalSuspended,
            Backend::EmptyQueryResponse,
            Backend::RowDescription(&rest),
            Backend::ParameterDescription(&rest),
            Backend::DataRow(&rest),
            Backend::FunctionCallResponse(&rest),
            Backend::CopyIn(copy),
            Backend::CopyOut(copy),
            Backend::CopyBoth(copy),
            Backend::CopyData(CopyData(&rest)),
            Backend::CopyDone,
            Backend::Notification(Notification { process_id: number, channel: &a, payload: &b }),
        ] {
            backend(message);
        }
    }

    #[test]
    fn errors_and_notices(
        message in "\\PC*", detail in prop::option::of(".*"), hint in prop::option::of(".*"),
        is_notice in any::<bool>(),
    ) {
        let severity = if is_notice { Severity::Warning } else { Severity::Fatal };
        let mut report = Report::new(severity, SqlState::TOO_MANY_CONNECTIONS, &message);
        if let Some(detail) = &detail {
            report = report.detail(detail);
        }
        if let Some(hint) = &hint {
            report = report.hint(hint);
        }
        let mut wire = Vec::new();
        report.write(&mut wire);
        let parsed = Backend::parse(only(&Limits::backend(), &wire)).unwrap();
        backend(parsed);
        let fields = match parsed {
            Backend::NoticeResponse(fields) if is_notice => fields,
            Backend::ErrorResponse(fields) if !is_notice => fields,
            other => panic!("{other:?}"),
        };
        let clean = |text: &str| text.replace('\0', "?").into_bytes();
        prop_assert_eq!(fields.severity(), Some(severity));
        prop_assert_eq!(fields.sqlstate(), Some(SqlState::TOO_MANY_CONNECTIONS));
        prop_assert_eq!(fields.message().map(<[u8]>::to_vec), Some(clean(&message)));
        prop_assert_eq!(fields.get(b'D').map(<[u8]>::to_vec), detail.as_deref().map(clean));
        prop_assert_eq!(fields.get(b'H').map(<[u8]>::to_vec), hint.as_deref().map(clean));
    }

    #[test]
    fn a_name_is_exchanged_without_touching_the_parameters(
        (portal, old, new) in (text(), text(), text()),
        values in vec(prop::option::of(bytes()), 0..6),
        formats in vec(0_u16..2, 0..4),
    ) {
        let mut rest = Vec::new();
        let put_formats = |rest: &mut Vec<u8>| {
            rest.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
            rest.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        };
        put_formats(&mut rest);
        rest.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
        for value in &values {
            let len = value.as_ref().map_or(u32::MAX, |value| u32::try_from(value.len()).unwrap());
            rest.extend(len.to_be_bytes());
            rest.extend(value.iter().flatten());
        }
        put_formats(&mut rest);
        let mut wire = Vec::new();
        Bind { portal: &portal, statement: &old, rest: &rest }.write(&mut wire);
        let bind = Bind::parse(&wire[5..]).unwrap();
        let mut renamed = Vec::new();
        Bind { statement: &new, ..bind }.write(&mut renamed);
        let bind = Bind::parse(&renamed[5..]).unwrap();
        prop_assert_eq!((bind.portal, bind.statement, bind.rest), (&portal[..], &new[..], &rest[..]));
        let read = BindRest::parse(bind.rest).unwrap();
        prop_assert_eq!(read.values().map(|value| value.map(<[u8]>::to_vec)).collect::<Vec<_>>(), values);
        prop_assert_eq!(read.result_formats, read.parameter_formats);
        for end in 0..rest.len() {
            prop_assert!(BindRest::parse(&rest[..end]).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn startup_packets(
        parameters in vec((vec(1_u8.., 1..12), vec(1_u8.., 0..20)), 0..9),
        process_id in any::<u32>(),
        secret in vec(any::<u8>(), 4..=256),
    ) {
        let mut wire = Vec::new();
        let pairs = || parameters.iter().map(|(name, value)| (&name[..], &value[..]));
        write_startup(pairs(), &mut wire).unwrap();
        for end in 0..wire.len() {
            prop_assert_eq!(Packet::parse(&wire[..end]).unwrap(), None);
        }
        let (packet, len) = Packet::parse(&wire).unwrap().unwrap();
        let Packet::Startup(startup) = packet else { panic!("{packet:?}") };
        prop_assert_eq!(len, wire.len());
        prop_assert!(startup.parameters().eq(pairs()));
        let cancel = Packet::CancelRequest(CancelRequest { process_id, secret: &secret });
        for packet in [packet, cancel, Packet::SslRequest, Packet::GssEncRequest] {
            let mut wire = Vec::new();
            packet.write(&mut wire);
            prop_assert_eq!(Packet::parse(&wire).unwrap(), Some((packet, wire.len())));
        }
    }
}

#[test]
fn rows_are_read_from_the_command_tag() {
    for (tag, rows) in [
        ("SELECT 3", Some(3)),
        ("INSERT 0 17", Some(17)),
        ("UPDATE 0", Some(0)),
        ("COPY 18446744073709551615", Some(u64::MAX)),
        ("COPY 18446744073709551616", None),
        ("BEGIN", None),
        ("SET", None),
        ("CREATE TABLE", None),
        ("REFRESH2", None),
        ("12", None),
        ("", None),
        ("SELECT ", None),
    ] {
        assert_eq!(
            CommandComplete {
                tag: tag.as_bytes()
            }
            .rows(),
            rows,
            "{tag}"
        );
    }
}

fn startup_packet(version: u32, body: &[u8]) -> Vec<u8> {
    let mut wire = u32::try_from(body.len() + 8)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    wire.extend(version.to_be_bytes());
    wire.extend(body);
    wire
}

fn parse_startup(wire: &[u8]) -> Startup<'_> {
    match Packet::parse(wire).unwrap().unwrap() {
        (Packet::Startup(startup), _) => startup,
        other => panic!("{other:?}"),
    }
}

#[test]
fn startup_parameters_have_the_defaults_of_postgres() {
    let wire = startup_packet(3 << 16, b"user\0ada\0application_name\0x\0user\0bob\0\0");
    let startup = parse_startup(&wire);
    assert_eq!(
        (startup.user(), startup.database()),
        (Some(&b"bob"[..]), Some(&b"bob"[..]))
    );
    assert!(!startup.negotiate(&mut Vec::new()));
    let wire = startup_packet(3 << 16, b"user\0\0database\0\0\0");
    assert_eq!(
        (parse_startup(&wire).user(), parse_startup(&wire).database()),
        (None, None)
    );
}

#[test]
fn a_newer_protocol_is_negotiated_down() {
    for (version, body, names) in [
        ((3 << 16) + 2, &b"user\0ada\0\0"[..], &[][..]),
        (
            3 << 16,
            b"user\0ada\0_pq_.compress\0on\0\0",
            &[&b"_pq_.compress"[..]][..],
        ),
        (
            (3 << 16) + 9999,
            b"_pq_.a\x001\0user\0ada\0_pq_.b\x002\0\0",
            &[b"_pq_.a", b"_pq_.b"],
        ),
    ] {
        let wire = startup_packet(version, body);
        let mut answer = Vec::new();
        assert!(parse_startup(&wire).negotiate(&mut answer));
        let message = Backend::parse(only(&Limits::backend(), &answer)).unwrap();
        backend(message);
        let Backend::NegotiateProtocolVersion(told) = message else {
            panic!("{message:?}")
        };
        assert_eq!(told.version, 3 << 16);
        assert!(told.options().eq(names.iter().copied()));
    }
    // A count that lies about the names behind it.
    let lie = b"\0\x03\0\0\xff\xff\xff\xff_pq_.a\0";
    assert!(NegotiateProtocolVersion::parse(lie).is_err());
}

#[test]
fn broken_startup_packets_are_refused() {
    let long = u32::try_from(PACKET_BYTES_MAX + 1).unwrap().to_be_bytes();
    for wire in [
        &[0, 0, 0, 0][..],
        &[0, 0, 0, 7],
        &[0xff; 4],
        &long,
        b"GET / HTTP/1.1",
    ] {
        let error = Packet::parse(wire).unwrap_err();
        assert!(matches!(error, Error::Length { tag: 0, .. }), "{error}");
    }
    for (major, minor) in [(2, 0), (1, 0), (4, 0), (1234, 5681)] {
        let wire = startup_packet((major << 16) + minor, b"\0");
        assert!(
            matches!(Packet::parse(&wire), Err(Error::Version { .. })),
            "{major}"
        );
    }
    for body in [
        &b""[..],
        b"user",
        b"user\0",
        b"user\0ada",
        b"user\0ada\0",
        b"\0x",
        b"user\0ada\0\0\0",
    ] {
        let error = Packet::parse(&startup_packet(3 << 16, body)).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{body:?}: {error}"
        );
    }
    for secret in [0, 3, 257] {
        let wire = startup_packet(80_877_102, &vec![0; 4 + secret]);
        assert!(
            matches!(Packet::parse(&wire), Err(Error::Malformed { .. })),
            "{secret}"
        );
    }
    assert!(Packet::parse(&startup_packet(80_877_103, b"x")).is_err());
}

#[test]
fn what_no_startup_packet_can_hold_is_not_written() {
    let long = vec![b'x'; PACKET_BYTES_MAX];
    for (name, value) in [
        (&b""[..], &b"x"[..]),
        (b"a\0b", b"x"),
        (b"a", b"x\0y"),
        (b"a", &long),
    ] {
        let mut out = Vec::new();
        assert!(matches!(
            write_startup([(name, value)], &mut out),
            Err(Error::Unsendable(_))
        ));
        assert!(out.is_empty());
    }
}

#[test]
fn malformed_bodies_are_refused() {
    let frontend: &[(u8, &[u8])] = &[
        (b'Q', b""),
        (b'Q', b"SELECT 1"),
        (b'Q', b"SELECT 1\0 "),
        (b'P', b"s\0SELECT 1"),
        (b'P', b"s\0SELECT 1\0"),
        (b'P', b"s\0SELECT 1\0\0\x02\0\0\0\x17"),
        (b'P', b"s\0x\0\0\0\0"),
        (b'P', b"s\0x\0\xff\xff"),
        (b'B', b""),
        (b'B', b"portal\0name"),
        (b'D', b""),
        (b'D', b"X\0"),
        (b'D', b"S"),
        (b'C', b"Pname"),
        (b'E', b"\0\0\0\0"),
        (b'E', b"\0\0\0\0\0\0"),
        (b'S', b"x"),
        (b'H', b"\0"),
        (b'X', b"1"),
        (b'c', b"1"),
        (b'f', b"no end"),
        (b'F', b"\0\0\0"),
    ];
    for (tag, body) in frontend {
        let mut wire = vec![*tag];
        wire.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        wire.extend(*body);
        let error = Frontend::parse(only(&Limits::frontend(1000), &wire)).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{} {body:?}: {error}",
            *tag as char
        );
    }
    let backend: &[(u8, &[u8])] = &[
        (b'Z', b""),
        (b'Z', b"X"),
        (b'Z', b"II"),
        (b'C', b"SELECT 1"),
        (b'C', b"a\0b"),
        (b'S', b"name\0value"),
        (b'K', b"\0\0\0\x01"),
        (b'K', b"\0\0\0\x01\x02\x03\x04"),
        (b'R', b""),
        (b'R', b"\0\0\0\0x"),
        (b'R', b"\0\0\0\x05abc"),
        (b'R', b"\0\0\0\x05abcde"),
        (b'R', b"\0\0\0\x0aSCRAM"),
        (b'R', b"\0\0\0\x0aSCRAM\0"),
        (b'G', b""),
        (b'G', b"\x02\0\0"),
        (b'H', b"\0\0\x02\0\0"),
        (b'W', b"\0\0\0\0"),
        (b'A', b"\0\0\0\x01chan\0pay"),
        (b'1', b"x"),
        (b'n', b"x"),
        (b'E', b""),
        (b'E', b"SERROR\0"),
        (b'E', b"SERROR"),
        (b'E', b"SERROR\0\0\0"),
        (b'N', b"S"),
        (b'v', b"\0\x03\0\0\0\0\0\x01"),
    ];
    for (tag, body) in backend {
        let mut wire = vec![*tag];
        wire.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        wire.extend(*body);
        let error = Backend::parse(only(&Limits::backend(), &wire)).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{} {body:?}: {error}",
            *tag as char
        );
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let shown = format!(
        "{:?} {:?} {:?}",
        Password {
            password: b"pencil"
        },
        BackendKeyData {
            process_id: 1,
            secret: b"pencil"
        },
        CancelRequest {
            process_id: 1,
            secret: b"pencil"
        },
    );
    // The bytes of "pencil" as a slice shows them begin with 112.
    assert!(
        !shown.contains("pencil") && !shown.contains("112"),
        "{shown}"
    );
}

#[test]
fn severities_are_read_in_any_language() {
    let fields = ErrorFields::parse(b"SFEHLER\0VERROR\0C42601\0Mx\0\0").unwrap();
    assert_eq!(fields.severity(), Some(Severity::Error));
    assert_eq!(
        ErrorFields::parse(b"SPANIC\0\0").unwrap().severity(),
        Some(Severity::Panic)
    );
    assert_eq!(ErrorFields::parse(b"C1\0\0").unwrap().sqlstate(), None);
}
