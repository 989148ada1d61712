//! Calls as bytes, for bindings whose own side makes and reads the messages.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;

use super::call::{Again, MAX_MESSAGE_BYTES, must_fit};
use super::route::Way;
use super::{Client, Error, ErrorKind};
use crate::protocol::v1;

impl Client {
    /// Calls a method of the service `Client`, as "RunWait", with the bytes of its request; answers those of its reply.
    /// Takes at most `timeout` in all, and is sent again while no server
    /// is available: a request that fires a run needs a request id.
    ///
    /// # Errors
    /// As the method's, and [`ErrorKind::Invalid`] for a name that no method can have.
    pub async fn call_raw(&self, method: &str, request: Bytes, timeout: Duration) -> Result<Bytes, Error> {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::invalid(
                "bad_method",
                "method",
                format!("{method:?} is not the name of a method"),
            ));
        }
        must_fit(request.len())?;
        let path = PathAndQuery::try_from(format!("/fastjob.v1.Client/{method}")).map_err(|_| {
            Error::invalid("bad_method", "method", format!("{method:?} is not the name of a method"))
        })?;
        let job = job_of(method, &request);
        let (path, request) = (&path, &request);
        self.again_within(Again::Safe, Way::Owner(job.as_deref()), timeout, |channel, left| async move {
            let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            client.ready().await.map_err(|error| {
                Error::new(ErrorKind::Unavailable, "unavailable", format!("failed to connect: {error}"))
            })?;
            let request = self.request(request.clone(), left);
            Ok(client.unary(request, path.clone(), Raw).await?.into_inner())
        })
        .await
    }
}

/// The job that a request names first, if its method is one for the job's owner.
fn job_of(method: &str, request: &Bytes) -> Option<String> {
    let request = request.clone();
    match method {
        "JobPut" => Some(v1::JobPutRequest::decode(request).ok()?.jobs.into_iter().next()?.name),
        "JobApply" => {
            let first = v1::JobApplyRequest::decode(request).ok()?.changes.into_iter().next()?;
            first.change.map(super::job::name_of)
        }
        "JobEnable" | "JobDisable" => Some(v1::JobSetEnabledRequest::decode(request).ok()?.name),
        "JobDelete" => Some(v1::JobDeleteRequest::decode(request).ok()?.name),
        "Trigger" => Some(v1::TriggerRequest::decode(request).ok()?.triggers.into_iter().next()?.job),
        _ => None,
    }
}

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
