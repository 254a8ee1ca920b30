//! Channel binding ties a SCRAM login to the TLS connection that it goes over (RFC 5929, tls-server-end-point), so that nobody in
//! between can pass the login on to another server.

use aws_lc_rs::digest::{self, Algorithm};

/// The digest of the server's certificate, made with the hash function of the certificate's signature. `None` if the RFC defines none.
pub(crate) fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = hash_of_signature(signature_algorithm(certificate)?)?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { algorithm OBJECT IDENTIFIER, ... }, ... }
/// (RFC 5280, section 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (whole, _) = element(certificate, 0x30)?;
    let (_, rest) = element(whole, 0x30)?;
    let (algorithm, _) = element(rest, 0x30)?;
    Some(element(algorithm, 0x06)?.0)
}

/// Reads a DER element with this tag: its content, and the bytes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=127 => (usize::from(*short), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (
                bytes
                    .iter()
                    .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))?,
                rest,
            )
        }
    };
    if *first == tag { rest.split_at_checked(length) } else { None }
}

/// RFC 5929, section 4.1: MD5 and SHA-1 count as SHA-256; Ed25519 and RSA-PSS name no hash here.
fn hash_of_signature(oid: &[u8]) -> Option<&'static Algorithm> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let (kind, number) = oid.split_at_checked(oid.len().checked_sub(1)?)?;
    match (kind, number) {
        (RSA, [4 | 5 | 11]) | (ECDSA, [2]) => Some(&digest::SHA256),
        (RSA, [12]) | (ECDSA, [3]) => Some(&digest::SHA384),
        (RSA, [13]) | (ECDSA, [4]) => Some(&digest::SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_certificate_gives_no_channel_binding() {
        for der in
            [&b""[..], b"\x30", b"\x30\x80", b"\x30\x03\x30\x01", b"\x30\x84\xff\xff\xff\xff", &[0xff; 64]]
        {
            assert_eq!(tls_server_end_point(der), None);
        }
    }

    #[test]
    fn the_hash_is_the_signatures() {
        let certificate = |oid: &[u8]| {
            let wrap = |tag: u8, body: &[u8]| [&[tag, u8::try_from(body.len()).unwrap()], body].concat();
            let algorithm = wrap(0x30, &wrap(0x06, oid));
            wrap(0x30, &[wrap(0x30, b"tbs"), algorithm].concat())
        };
        let sha256_rsa = certificate(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 11]);
        assert_eq!(
            tls_server_end_point(&sha256_rsa).unwrap(),
            digest::digest(&digest::SHA256, &sha256_rsa).as_ref()
        );
        let sha384_ecdsa = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3]);
        assert_eq!(tls_server_end_point(&sha384_ecdsa).unwrap().len(), 48);
        assert_eq!(tls_server_end_point(&certificate(&[0x2b, 0x65, 0x70])), None);
    }
}
