//! Opens the socket that the API listens on, and accepts connections.
//!
//! The file of a Unix socket without a listener, as a power cut leaves it, is replaced; any other file is not touched.
//!
//! Does not: retry; the caller does.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::api::Listen;
use crate::api::limits::{CONNECTIONS, SEND_BUFFER};

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Address(TcpListener, SocketAddr),
    Socket(UnixListener, SocketFile),
}

/// The file of a Unix socket. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens at the first address of `listen` that is free.
    pub(super) async fn open(listen: &Listen) -> io::Result<Self> {
        if let Listen::Socket(path) = listen {
            return Self::open_socket(path).await;
        }
        let mut failure = ErrorKind::InvalidInput.into();
        for address in listen.addresses() {
            match listen_at(address) {
                Ok(listener) => {
                    let address = listener.local_addr()?;
                    return Ok(Self::Address(listener, address));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open_socket(path: &Path) -> io::Result<Self> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
        if is_socket && UnixStream::connect(path).await.is_err_and(refused) {
            fs::remove_file(path)?;
        }
        Ok(Self::Socket(UnixListener::bind(path)?, SocketFile(path.to_owned())))
    }

    /// The address of the socket: a URL, or `unix:` and a path.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Address(_, address) => format!("http://{address}"),
            Self::Socket(_, file) => format!("unix:{}", file.0.display()),
        }
    }

    /// Accepts the next connection. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Address(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Frames are small and must not wait for the acknowledgement of the frame before.
                let _ = stream.set_nodelay(true);
                Ok(Socket::Tcp(stream))
            }
            Self::Socket(listener, _) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of the previous agent may still wait for their end.
    socket.set_reuseaddr(true)?;
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.bind(address)?;
    socket.listen(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX))
}

/// A connection of a client.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Writes as much as goes without waiting.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
