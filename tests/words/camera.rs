//! A network camera that gives the RTSP answers of the test, e.g. refusals, and sends packets without a picture.
//!
//! Does not: send video.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// The answers of a camera.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers {
    /// The answer to DESCRIBE: status with reason, and further headers.
    pub(crate) describe: (&'static str, &'static str),
    /// The media in the SDP.
    pub(crate) media: &'static str,
    /// The answer to SETUP: status with reason.
    pub(crate) setup: &'static str,
}

/// A camera with one H.264 video and no credential.
pub(crate) const OPEN: Answers = Answers { describe: ("200 OK", ""), media: H264, setup: "200 OK" };
const H264: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n";
pub(crate) const H265: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:t\r\n";
pub(crate) const ODD: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 ODD/90000\r\na=control:t\r\n";
pub(crate) const SOUND: &str = "m=audio 0 RTP/AVP 8\r\na=control:t\r\n";

/// Starts a camera, which runs until the test program ends. Returns host and port.
pub(crate) fn start(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || converse(stream.unwrap(), answers));
        }
    });
    host
}

fn converse(mut stream: TcpStream, answers: Answers) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let request = lines.next()?.ok()?;
        let mut number = String::new();
        loop {
            let header = lines.next()?.ok()?;
            if header.is_empty() {
                break;
            }
            if let Some(cseq) = header.strip_prefix("CSeq:") {
                number = cseq.trim().to_owned();
            }
        }
        let (status, headers, body) = match request.split(' ').next()? {
            "DESCRIBE" if answers.describe.0 == "200 OK" => {
                let body =
                    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{}", answers.media);
                let headers =
                    format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", body.len());
                ("200 OK", headers, body)
            }
            "DESCRIBE" => (answers.describe.0, answers.describe.1.to_owned(), String::new()),
            "SETUP" => {
                let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
                (answers.setup, format!("Session: 1\r\n{transport}"), String::new())
            }
            "PLAY" => {
                write!(stream, "RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1\r\n\r\n").ok()?;
                // GStreamer adds a pad at the third packet, and the program reports an unusable pad some packets later.
                // The pauses give the program time to report that.
                for number in 0..100 {
                    thread::sleep(Duration::from_millis(20));
                    let head = [b'$', 0, 0, 16, 0x80, 0xe0, 0, number, 0, 0, 0, 1, 0, 0, 0, 9];
                    stream.write_all(&head).ok()?;
                    stream.write_all(&[0x42, 1, 0, 0]).ok()?;
                }
                continue;
            }
            _ => ("200 OK", "Public: DESCRIBE, SETUP, PLAY\r\n".to_owned(), String::new()),
        };
        write!(stream, "RTSP/1.0 {status}\r\nCSeq: {number}\r\n{headers}\r\n{body}").ok()?;
    }
}
