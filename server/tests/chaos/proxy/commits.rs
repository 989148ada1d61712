//! Recognises a COMMIT and its answer, and the renewal of a lease, in what passes between a server and its database.

/// One connection's state.
#[derive(Default)]
pub(super) struct Commits {
    /// A COMMIT was asked in MySQL's protocol, whose answer does not name it.
    asked: bool,
    /// It has prepared the renewal of a lease.
    prepared: bool,
    /// It has asked for it.
    renews: bool,
}

/// PostgreSQL: CommandComplete, its length, its tag.
const POSTGRES_DONE: &[u8] = b"C\x00\x00\x00\x0bCOMMIT\x00";
/// MySQL: COM_QUERY at the start of a packet's body.
const MYSQL_QUERY: u8 = 3;
/// The statement by which a server renews its lease.
const RENEWAL: &[u8] = b"UPDATE fastjob_server SET seq";
/// PostgreSQL: Bind at the start of a message. MySQL: COM_STMT_EXECUTE.
const POSTGRES_BIND: u8 = b'B';
const MYSQL_EXECUTE: u8 = 0x17;

impl Commits {
    /// What goes to the database.
    pub(super) fn asked(&mut self, bytes: &[u8]) {
        let Some((header, body)) = bytes.split_at_checked(4) else { return };
        self.renews = self.prepared && (bytes[0] == POSTGRES_BIND || body.first() == Some(&MYSQL_EXECUTE));
        self.prepared |= bytes.windows(RENEWAL.len()).any(|window| window == RENEWAL);
        if header[3] == 0 && body.first() == Some(&MYSQL_QUERY) {
            self.asked = body[1..].trim_ascii().eq_ignore_ascii_case(b"commit");
        }
    }

    /// Whether what comes from it answers the renewal of a lease.
    pub(super) fn renews(&self) -> bool {
        self.renews
    }

    /// Whether what comes from it answers a COMMIT.
    pub(super) fn answered(&mut self, bytes: &[u8]) -> bool {
        let named = bytes.windows(POSTGRES_DONE.len()).any(|window| window == POSTGRES_DONE);
        std::mem::take(&mut self.asked) || named
    }
}
