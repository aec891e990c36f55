//! The service as any client of the protocol meets it, over real sockets.

mod calls;
mod security;
mod served;
