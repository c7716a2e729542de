//! Sanitizes texts of GStreamer for logs: one line, without credentials.
//!
//! Does not: classify errors.

/// `text` as one line, without user name and password in its URLs.
pub(super) fn presentable(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(one_line.len());
    let mut rest = one_line.as_str();
    while let Some((before, behind)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let authority = behind.find(['/', ' ', '"', '\'']).unwrap_or(behind.len());
        let user_info = behind.get(..authority).and_then(|authority| authority.rfind('@'));
        rest = match user_info {
            Some(at) => {
                out.push_str("***");
                behind.get(at..).unwrap_or_default()
            }
            None => behind,
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_not_shown() {
        assert_eq!(
            presentable("could not open\n rtsp://me:pw@cam/1"),
            "could not open rtsp://***@cam/1"
        );
        assert_eq!(
            presentable("a://b@c \"d://e:f@g/h@i\" j://k"),
            "a://***@c \"d://***@g/h@i\" j://k"
        );
        assert_eq!(presentable("x://a:p@q@host/"), "x://***@host/");
        assert_eq!(presentable("://"), "://");
    }
}
