//! The comparison of hosts, which decides whether an admin acts. Two names are one server only if DNS treats them as equal, or
//! RDS says so. An internal address stays internal in every disguise. The input is two names, separated by a NUL.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use rotate_api_key::address::inside;
use rotation::database::account::{Server, Tls, folded};
use rotation::database::host::same_server;
use rotation::reach::net::server_name;

fuzz_target!(|text: &str| {
    let (child, admin) = text.split_once('\0').unwrap_or((text, text));
    let one = same(child, admin, false);
    assert_eq!(one, same(admin, child, false), "{child:?} and {admin:?}, and the other way round");
    assert!(same(child, admin, true), "RDS knows that {child:?} is {admin:?}");
    let canonical = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    assert_eq!(one, canonical(child) == canonical(admin), "{child:?} and {admin:?}");
    assert!(same(child, &format!("{}.", child.to_ascii_uppercase()), false));
    assert_eq!(folded(&folded(child)), folded(child));
    // If two names are one server, a certificate for one fits the other.
    if let (true, Ok(child), Ok(admin)) = (one, server_name(child), server_name(admin)) {
        assert!(child.to_str().eq_ignore_ascii_case(&admin.to_str()));
    }
    if let Some(bytes) = text.as_bytes().first_chunk() {
        disguises(Ipv4Addr::from(*bytes));
    }
});

/// The guard's verdict if RDS answers `known`.
fn same(child: &str, admin: &str, known: bool) -> bool {
    let server = |host: &str| Server { host: host.to_owned(), port: 5432, tls: Tls::Plaintext, may_sleep: false };
    let ask = async |asked: &str, about: &str| {
        assert_eq!((asked, about), (admin, child), "RDS is asked about other names");
        Ok(known)
    };
    let (child, admin) = (server(child), server(admin));
    let verdict = pin!(same_server(&child, &admin, ask));
    match verdict.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => verdict.is_ok(),
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn disguises(address: Ipv4Addr) {
    let [a, b, c, d] = address.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    let plain = inside(IpAddr::V4(address));
    for disguise in [
        address.to_ipv6_mapped(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
    ] {
        assert_eq!(inside(IpAddr::V6(disguise)).is_some(), plain.is_some(), "{address} as {disguise}");
    }
}
