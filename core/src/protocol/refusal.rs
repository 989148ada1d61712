//! Refusals as statuses of gRPC, with the whole of them in the status's details.

use prost::Message;
use tonic::{Code, Status};

use super::v1;
use crate::domain::{Refusal, RefusalKind};

/// A refusal as a status.
pub fn status(refusal: &Refusal) -> Status {
    let details = detail(refusal).encode_to_vec();
    Status::with_details(code(refusal.kind), refusal.to_string(), details.into())
}

/// What a refusal says, for a status's details or a result in a list.
pub fn detail(refusal: &Refusal) -> v1::ErrorDetail {
    v1::ErrorDetail {
        code: refusal.code.into(),
        message: refusal.message.clone().into(),
        field: refusal.field.clone().into(),
        remedy: refusal.remedy.clone().into(),
    }
}

/// The detail that a status carries, if it carries one.
pub fn detail_of(status: &Status) -> Option<v1::ErrorDetail> {
    let detail = v1::ErrorDetail::decode(status.details()).ok()?;
    (!detail.code.is_empty()).then_some(detail)
}

/// The status code of a kind.
pub fn code(kind: RefusalKind) -> Code {
    match kind {
        RefusalKind::Invalid => Code::InvalidArgument,
        RefusalKind::NotFound => Code::NotFound,
        RefusalKind::Conflict => Code::FailedPrecondition,
        RefusalKind::Unauthenticated => Code::Unauthenticated,
        RefusalKind::NotPermitted => Code::PermissionDenied,
        RefusalKind::Unavailable => Code::Unavailable,
        RefusalKind::Internal => Code::Internal,
    }
}

/// The kind of a status, also of one that something between client and server made.
pub fn kind(code: Code) -> RefusalKind {
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => RefusalKind::Invalid,
        Code::NotFound => RefusalKind::NotFound,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => RefusalKind::Conflict,
        Code::Unauthenticated => RefusalKind::Unauthenticated,
        Code::PermissionDenied => RefusalKind::NotPermitted,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {
            RefusalKind::Unavailable
        }
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => RefusalKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_the_whole_refusal() {
        let refusal = Refusal::invalid("bad_name", "name", "is empty").remedy("give one").within("jobs[3]");
        let status = status(&refusal);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "jobs[3].name: is empty (give one)");
        let detail = detail_of(&status).expect("the detail is in the status");
        assert_eq!(detail, super::detail(&refusal));
        assert_eq!(detail.field, "jobs[3].name");
    }

    #[test]
    fn each_kind_comes_back_from_its_status_code() {
        for kind_given in [
            RefusalKind::Invalid,
            RefusalKind::NotFound,
            RefusalKind::Conflict,
            RefusalKind::Unauthenticated,
            RefusalKind::NotPermitted,
            RefusalKind::Unavailable,
            RefusalKind::Internal,
        ] {
            assert_eq!(kind(code(kind_given)), kind_given);
        }
    }

    #[test]
    fn a_status_of_a_stranger_has_no_detail() {
        assert_eq!(detail_of(&Status::internal("proxy")), None);
        assert_eq!(detail_of(&Status::with_details(Code::Internal, "x", vec![0xff; 9].into())), None);
    }
}
