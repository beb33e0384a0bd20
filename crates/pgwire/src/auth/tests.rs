use bytes::BytesMut;

use super::*;
use crate::backend::{Authentication, SaslMechanisms};
use crate::frontend::{Password, SaslInitialResponse, SaslResponse};
use crate::{Error, Fault, Limits, Reader, SqlState, Wire};

const SALT: [u8; SALT_BYTES] = *b"0123456789abcdef";
const RANDOM: [u8; NONCE_BYTES] = *b"eighteen random by";
const PLAIN: &[u8] = SCRAM_SHA_256.as_bytes();

/// The body of the one message in `out`.
fn sent(out: &mut BytesMut) -> Vec<u8> {
    let frame = Reader::default()
        .take(&Limits::authentication(), out)
        .unwrap()
        .unwrap();
    assert!(out.is_empty(), "more than one message was written");
    frame.message().body().to_vec()
}

/// Runs a whole login and gives what each side thinks of it. `tamper` may change each message on its way; it is told
/// which one it is: 0 client-first, 1 server-first, 2 client-final, 3 server-final.
fn login(
    password: &[u8],
    server: ScramServer,
    tamper: impl Fn(usize, &mut Vec<u8>),
) -> (Result<Progress, Error>, Result<Proved, Error>) {
    let client = ClientAuth::new(b"ada", Credential::Password(password), RANDOM);
    login_as(client, server, tamper)
}

fn login_as(
    mut client: ClientAuth<'_>,
    mut server: ScramServer,
    tamper: impl Fn(usize, &mut Vec<u8>),
) -> (Result<Progress, Error>, Result<Proved, Error>) {
    const UNTOLD: Error = Error::OutOfOrder("nothing");
    let mut out = BytesMut::new();
    if let Err(error) = client.step(Authentication::Sasl(server.mechanisms()), &mut out) {
        return (Err(error), Err(UNTOLD));
    }
    let body = sent(&mut out);
    let initial = SaslInitialResponse::parse(&body).unwrap();
    let mut data = initial.data.unwrap().to_vec();
    tamper(0, &mut data);
    let mut data = match server.first(initial.mechanism, &data) {
        Ok(answer) => answer.into_bytes(),
        Err(error) => return (Ok(Progress::Waiting), Err(error)),
    };
    tamper(1, &mut data);
    let stepped = client.step(Authentication::SaslContinue(&data), &mut out);
    let stepped = stepped.and_then(|progress| match progress {
        Progress::Derive(derivation) => client.derived(&derivation.run(), &mut out),
        progress => Ok(progress),
    });
    if let Err(error) = stepped {
        return (Err(error), Err(UNTOLD));
    }
    let mut data = SaslResponse::parse(&sent(&mut out)).unwrap().0.to_vec();
    tamper(2, &mut data);
    let proved = match server.last(&data) {
        Ok(proved) => proved,
        Err(error) => return (Ok(Progress::Waiting), Err(error)),
    };
    let mut data = proved.answer.clone().into_bytes();
    tamper(3, &mut data);
    let ended = client
        .step(Authentication::SaslFinal(&data), &mut out)
        .and_then(|_| client.step(Authentication::Ok, &mut out));
    (ended, Ok(proved))
}

fn known(password: &[u8]) -> ScramServer {
    ScramServer::new(Verifier::from_password(password, SALT), RANDOM)
}

#[test]
fn the_exchange_of_rfc_7677_is_reproduced() {
    let salt = [
        0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa,
        0x81,
    ];
    let verifier = Verifier::from_password(b"pencil", salt);
    let mut server = ScramServer::start(verifier, true, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into());
    let first = server
        .first(PLAIN, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        .unwrap();
    assert_eq!(
        first,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = server
        .last(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
              p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        .unwrap();
    assert_eq!(
        last.answer,
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );
}

#[test]
fn client_and_server_agree_on_any_password_that_both_know() {
    for password in [
        "pencil",
        "",
        "with,commas=and spaces",
        "päßwörd",
        "\u{2168}",
        "\u{00ad}soft",
        "a\u{7}b",
    ] {
        let (client, server) = login(password.as_bytes(), known(password.as_bytes()), |_, _| {});
        assert_eq!(client, Ok(Progress::Done), "{password:?}");
        assert!(server.is_ok(), "{password:?}");
    }
    // Not UTF-8: SASLprep does not apply, the bytes count.
    let (client, _) = login(b"\xff\xfe", known(b"\xff\xfe"), |_, _| {});
    assert_eq!(client, Ok(Progress::Done));
}

#[test]
fn a_wrong_password_and_an_unknown_user_fail_alike() {
    let (_, wrong) = login(b"pencil", known(b"pen"), |_, _| {});
    let mock = Verifier::mock(&[7; 32], b"nobody");
    let (_, unknown) = login(b"pencil", ScramServer::doomed(mock, RANDOM), |_, _| {});
    let error = wrong.unwrap_err();
    assert_eq!(error, Error::WrongPassword);
    assert_eq!(unknown.unwrap_err(), error);
    assert_eq!(
        (error.fault(), error.sqlstate()),
        (Fault::Client, SqlState::INVALID_PASSWORD)
    );
    // Even with the right password of a real verifier, a doomed exchange lets nobody in.
    let doomed = ScramServer::doomed(Verifier::from_password(b"pencil", SALT), RANDOM);
    assert_eq!(
        login(b"pencil", doomed, |_, _| {}).1.unwrap_err(),
        Error::WrongPassword
    );
}

#[test]
fn a_mock_looks_like_a_verifier_and_is_stable() {
    let first = |user: &[u8], secret: u8| {
        ScramServer::doomed(Verifier::mock(&[secret; 32], user), RANDOM)
            .first(PLAIN, b"n,,n=,r=abc")
            .unwrap()
    };
    let real = known(b"pencil").first(PLAIN, b"n,,n=,r=abc").unwrap();
    assert_eq!(first(b"eve", 1).len(), real.len());
    assert_eq!(first(b"eve", 1), first(b"eve", 1));
    assert_ne!(
        first(b"eve", 1),
        first(b"bob", 1),
        "two users have two salts"
    );
    assert_ne!(
        first(b"eve", 1),
        first(b"eve", 2),
        "the salt depends on the secret"
    );
}

#[test]
fn any_bit_that_is_flipped_on_the_way_is_noticed() {
    let flips = |index: usize, bit: u8, which: usize| {
        move |message: usize, data: &mut Vec<u8>| {
            if message == which {
                let at = index % data.len();
                data[at] ^= 1 << bit;
            }
        }
    };
    for which in 0..4 {
        for index in (0..120).step_by(7) {
            for bit in [0, 3] {
                // The user's name in the first message counts for nothing, but the proof covers it all the same.
                let (client, _) = login(b"pencil", known(b"pencil"), flips(index, bit, which));
                assert_ne!(
                    client,
                    Ok(Progress::Done),
                    "message {which}, byte {index}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn malformed_client_messages_are_refused() {
    let too_far = b"p=tls-server-end-point,,n=,r=abc";
    let rows: &[&[u8]] = &[
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=",
        b"n,,n=,",
        b"n,,n=,r=",
        b"x,,n=,r=abc",
        b"n,a=root,n=,r=abc",
        b"n,,m=ext,n=,r=abc",
        b"n,,r=abc",
        b"n,,n=,r=a b",
        b"\xff,,n=,r=abc",
        too_far,
    ];
    for row in rows {
        let error = known(b"pencil").first(PLAIN, row).unwrap_err();
        assert_eq!(
            error.fault(),
            Fault::Client,
            "{}",
            String::from_utf8_lossy(row)
        );
        assert_eq!(error.sqlstate(), SqlState::PROTOCOL_VIOLATION);
    }
    let begun = || {
        let mut server = known(b"pencil");
        let first = server.first(PLAIN, b"n,,n=,r=abc").unwrap();
        (server, first.split(',').next().unwrap().to_owned())
    };
    let zeros = "A".repeat(43) + "=";
    for (row, is_form_right) in [
        (format!("c=biws,NONCE,p={zeros}"), true),
        (format!("c=eSws,NONCE,p={zeros}"), false),
        (format!("c=biws,r=abc,p={zeros}"), false),
        (format!("NONCE,c=biws,p={zeros}"), false),
        ("c=biws,NONCE".into(), false),
        ("c=biws,NONCE,p=".into(), false),
        ("c=biws,NONCE,p=AAAA".into(), false),
        (String::new(), false),
    ] {
        let (server, nonce) = begun();
        let error = server
            .last(row.replace("NONCE", &nonce).as_bytes())
            .unwrap_err();
        assert_eq!(
            error == Error::WrongPassword,
            is_form_right,
            "{row}: {error}"
        );
    }
    assert!(
        known(b"pencil").last(b"c=biws,r=,p=AAAA").is_err(),
        "last before first"
    );
    let (mut server, _) = begun();
    assert!(server.first(PLAIN, b"n,,n=,r=abc").is_err(), "first twice");
}

#[test]
fn verifiers_are_stored_and_read_again() {
    let verifier = Verifier::from_password(b"pencil", SALT);
    assert_eq!(Verifier::parse(&verifier.to_stored()), Ok(verifier));
    // What another implementation stores for the same password lets the password in.
    let stored = postgres_protocol::password::scram_sha_256(b"pencil");
    let server = ScramServer::new(Verifier::parse(&stored).unwrap(), RANDOM);
    assert_eq!(login(b"pencil", server, |_, _| {}).0, Ok(Progress::Done));

    let long_salt = "A".repeat(4000);
    for broken in [
        "",
        "md5d41d8cd98f00b204e9800998ecf8427e",
        "SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA",
        "SCRAM-SHA-256$0:c2FsdA==$AAAA:AAAA",
        "SCRAM-SHA-256$-1:c2FsdA==$AAAA:AAAA",
        "SCRAM-SHA-256$4096:*$AAAA:AAAA",
        "SCRAM-SHA-256$4096$AAAA:AAAA",
        &format!("SCRAM-SHA-256$4096:{long_salt}$AAAA:AAAA"),
    ] {
        let error = Verifier::parse(broken).unwrap_err();
        assert_eq!(error.fault(), Fault::Us, "{broken}");
        assert!(
            !error.to_string().contains("AAAA"),
            "an error shows no part of a secret"
        );
    }
}

#[test]
fn cleartext_and_md5_are_answered() {
    let mut out = BytesMut::new();
    let mut client =
        ClientAuth::new(b"ada", Credential::Password(b"pencil"), RANDOM).may_tell_password(true);
    let asked = Authentication::CleartextPassword;
    assert_eq!(client.step(asked, &mut out), Ok(Progress::Answered));
    assert_eq!(
        Password::parse(&sent(&mut out)).unwrap().password,
        b"pencil"
    );
    assert_eq!(
        client.step(Authentication::Ok, &mut out),
        Ok(Progress::Done)
    );

    let mut client = ClientAuth::new(b"md5_user", Credential::Password(b"password"), RANDOM);
    let asked = Authentication::Md5Password {
        salt: [0x2a, 0x3d, 0x8f, 0xe0],
    };
    assert_eq!(client.step(asked, &mut out), Ok(Progress::Answered));
    let body = sent(&mut out);
    assert_eq!(
        Password::parse(&body).unwrap().password,
        b"md562af4dd09bbb41884907a838a3233294" as &[u8]
    );

    let mut trusted = ClientAuth::new(b"ada", Credential::None, RANDOM);
    assert_eq!(
        trusted.step(Authentication::Ok, &mut out),
        Ok(Progress::Done)
    );
}

#[test]
fn a_server_that_does_not_keep_to_the_order_is_refused() {
    let sasl = Authentication::Sasl(SaslMechanisms::SCRAM_SHA_256);
    let mut out = BytesMut::new();
    // Without its own proof, the server's word that all is well counts for nothing.
    let mut client = ClientAuth::new(b"ada", Credential::Password(b"pencil"), RANDOM);
    client.step(sasl, &mut out).unwrap();
    let error = client.step(Authentication::Ok, &mut out).unwrap_err();
    assert_eq!(
        (error.clone(), error.fault()),
        (Error::OutOfOrder("AuthenticationOk"), Fault::Server)
    );
    // And an error is final.
    assert!(client.step(Authentication::Ok, &mut out).is_err());

    // A server that asks for SCRAM and then for the password itself gets nothing.
    let mut client = ClientAuth::new(b"ada", Credential::Password(b"pencil"), RANDOM);
    client.step(sasl, &mut out).unwrap();
    out.clear();
    assert!(
        client
            .step(Authentication::CleartextPassword, &mut out)
            .is_err()
    );
    assert!(out.is_empty());

    let step = |password, request| {
        ClientAuth::new(b"ada", password, RANDOM)
            .step(request, &mut BytesMut::new())
            .unwrap_err()
    };
    assert_eq!(step(Credential::None, sasl), Error::NoPassword);
    assert_eq!(
        step(Credential::None, Authentication::CleartextPassword),
        Error::NoPassword
    );
    assert_eq!(
        step(
            Credential::Password(b"a\0b"),
            Authentication::CleartextPassword
        ),
        Error::NoPassword
    );
    let gss = Authentication::Other { code: 7, data: b"" };
    assert_eq!(
        step(Credential::Password(b"x"), gss),
        Error::UnsupportedMethod("GSSAPI")
    );
    let other = Authentication::parse(b"\0\0\0\x0aSCRAM-SHA-512\0\0").unwrap();
    assert_eq!(step(Credential::Password(b"x"), other).fault(), Fault::Us);
    assert!(matches!(
        step(Credential::Password(b"x"), Authentication::SaslFinal(b"")),
        Error::OutOfOrder(_)
    ));
}

#[test]
fn a_server_that_asks_for_endless_work_is_refused() {
    let demand = |message: usize, data: &mut Vec<u8>| {
        if message == 1 {
            data.extend_from_slice(b"00000");
        }
    };
    let (client, _) = login(b"pencil", known(b"pencil"), demand);
    assert!(matches!(client, Err(Error::Scram(_))), "{client:?}");
}

fn certificate(hash: &[u8]) -> ChannelBinding {
    ChannelBinding::from_certificate_hash(hash)
}

fn client_over(channel: &Channel) -> ClientAuth<'_> {
    ClientAuth::new(b"ada", Credential::Password(b"pencil"), RANDOM).over(channel)
}

#[test]
fn an_exchange_is_bound_to_the_channel_when_both_sides_can() {
    let mine = || certificate(b"the certificate that both see");
    let rows = [
        (Channel::Bindable(mine()), Some(mine()), None),
        (Channel::Bound(mine()), Some(mine()), None),
        (Channel::Bindable(mine()), None, None),
        (Channel::Unbindable, Some(mine()), None),
        (Channel::Bound(mine()), None, Some(Error::Unbound)),
    ];
    for (channel, offered, expected) in rows {
        let server = known(b"pencil").over(offered.clone());
        let (client, _) = login_as(client_over(&channel), server, |_, _| {});
        assert_eq!(client.err(), expected, "{channel:?} {offered:?}");
    }
    // Somebody sits in between with a certificate of their own.
    let other = Channel::Bindable(certificate(b"another"));
    let server = known(b"pencil").over(Some(mine()));
    let error = login_as(client_over(&other), server, |_, _| {})
        .1
        .unwrap_err();
    assert!(matches!(error, Error::ChannelBinding(_)), "{error}");
    assert_eq!(error.sqlstate(), SqlState::INVALID_AUTHORIZATION);
}

#[test]
fn a_downgrade_is_noticed() {
    // The one in between has removed the better mechanism from the offer.
    let channel = Channel::Bindable(certificate(b"hash"));
    let (mut out, mut server) = (
        BytesMut::new(),
        known(b"pencil").over(Some(certificate(b"hash"))),
    );
    client_over(&channel)
        .step(
            Authentication::Sasl(SaslMechanisms::SCRAM_SHA_256),
            &mut out,
        )
        .unwrap();
    let body = sent(&mut out);
    let initial = SaslInitialResponse::parse(&body).unwrap();
    let error = server
        .first(initial.mechanism, initial.data.unwrap())
        .unwrap_err();
    assert!(matches!(error, Error::ChannelBinding(_)), "{error}");

    let plus = SCRAM_SHA_256_PLUS.as_bytes();
    let rows: &[(&[u8], &[u8])] = &[
        (PLAIN, b"p=tls-server-end-point,,n=,r=abc"),
        (plus, b"n,,n=,r=abc"),
        (plus, b"p=tls-unique,,n=,r=abc"),
        (b"SCRAM-SHA-1", b"n,,n=,r=abc"),
    ];
    for (mechanism, message) in rows {
        let mut server = known(b"pencil").over(Some(certificate(b"hash")));
        let error = server.first(mechanism, message).unwrap_err();
        assert_eq!(error.fault(), Fault::Client, "{}", message.escape_ascii());
    }
    let error = known(b"pencil").first(plus, b"p=tls-server-end-point,,n=,r=abc");
    assert!(error.is_err(), "it was not offered");
}

#[test]
fn the_keys_of_a_login_open_the_same_verifier_and_no_other() {
    let keys = login(b"pencil", known(b"pencil"), |_, _| {})
        .1
        .unwrap()
        .keys;
    let with_keys = |server| {
        let client = ClientAuth::new(b"ada", Credential::Scram(&keys), RANDOM);
        login_as(client, server, |_, _| {}).0
    };
    assert_eq!(with_keys(known(b"pencil")), Ok(Progress::Done));
    let other_salt = Verifier::from_password(b"pencil", *b"another salt....");
    assert_eq!(
        with_keys(ScramServer::new(other_salt, RANDOM)),
        Err(Error::OtherVerifier)
    );
    let mut out = BytesMut::new();
    for request in [
        Authentication::CleartextPassword,
        Authentication::Md5Password { salt: [0; 4] },
    ] {
        let mut client = ClientAuth::new(b"ada", Credential::Scram(&keys), RANDOM);
        let error = client.step(request, &mut out).unwrap_err();
        assert_eq!(error, Error::NoClearPassword);
    }
}

#[test]
fn a_password_is_checked_against_a_verifier() {
    let verifier = Verifier::from_password(b"pencil", SALT);
    let is_right = |password: &[u8]| verifier.is_of(&verifier.derivation(password).run());
    assert!(is_right(b"pencil") && !is_right(b"pen"));
    let elsewhere = Verifier::from_password(b"pencil", *b"another salt....");
    assert!(!elsewhere.is_of(&verifier.derivation(b"pencil").run()));
}

#[test]
fn md5_hashes_are_stored_answered_and_checked() {
    let hash = Md5Hash::from_password(b"md5_user", b"password");
    assert_eq!(Md5Hash::parse(&hash.to_stored()), Ok(hash.clone()));
    assert_ne!(hash, Md5Hash::from_password(b"other", b"password"));
    let salt = [0x2a, 0x3d, 0x8f, 0xe0];
    let answer = hash.answer(salt);
    assert_eq!(answer, "md562af4dd09bbb41884907a838a3233294");
    assert!(hash.accepts(salt, answer.as_bytes()));
    assert!(!hash.accepts([0; 4], answer.as_bytes()));
    for wrong in ["", "md5", "62af4dd09bbb41884907a838a3233294", "password"] {
        assert!(!hash.accepts(salt, wrong.as_bytes()), "{wrong}");
    }
    for broken in ["md5", "md5D41D8CD98F00B204E9800998ECF8427E", "md5d41d", "x"] {
        assert!(Md5Hash::parse(broken).is_err(), "{broken}");
    }
    // Whoever has the hash can log in: that is what is wrong with it.
    let mut out = BytesMut::new();
    let mut client = ClientAuth::new(b"md5_user", Credential::Md5(&hash), RANDOM);
    client
        .step(Authentication::Md5Password { salt }, &mut out)
        .unwrap();
    assert!(hash.accepts(salt, Password::parse(&sent(&mut out)).unwrap().password));
}

#[test]
fn the_password_itself_is_told_only_where_that_is_allowed() {
    let mut out = BytesMut::new();
    let mut client = ClientAuth::new(b"ada", Credential::Password(b"pencil"), RANDOM);
    let error = client.step(Authentication::CleartextPassword, &mut out);
    assert_eq!(error, Err(Error::WouldTellPassword));
    assert!(out.is_empty());
}
