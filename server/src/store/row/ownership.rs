//! Rows of servers and owners.

use fastjob_core::clock::Millis;
use fastjob_core::id::{Epoch, ServerId, ShardKey};

use super::{Cells, Reader};
use crate::store::backend::{Changes, Claimed, Desired, Owned, Renewal, Server, ServerPhase};
use crate::store::error::StoreError;

/// All columns of `fastjob_server`, as [`server`] reads them.
pub(in crate::store) const SERVER: &str = "id, rpc_address, http_address, version, phase, seq, renewed_at";

/// Every shard with its owner, as [`owned`] reads them.
pub(in crate::store) const OWNED: &str =
    "SELECT owner.app_id, owner.shard, owner.server_id, owner.epoch, server.rpc_address,
            owner.server_id IS NOT NULL AND coalesce(server.phase, 'dead') = 'dead' AS dead,
            owner.desired_server, owner.desired_until
     FROM fastjob_app_owner owner LEFT JOIN fastjob_server server ON server.id = owner.server_id
     ORDER BY owner.app_id, owner.shard";

/// A row of [`SERVER`].
pub(in crate::store) fn server(row: &impl Cells) -> Result<Server, StoreError> {
    let row = Reader::new(row, "fastjob_server", "id");
    Ok(Server {
        id: row.id("id")?,
        rpc_address: row.text("rpc_address")?.to_owned(),
        http_address: row.text("http_address")?.to_owned(),
        version: row.text("version")?.to_owned(),
        phase: row.word("phase", phase_parse)?,
        seq: row.bits("seq")?,
        renewed_at: row.at("renewed_at")?,
    })
}

/// A row of [`OWNED`].
pub(in crate::store) fn owned(row: &impl Cells) -> Result<Owned, StoreError> {
    let row = Reader::new(row, "fastjob_app_owner", "app_id");
    Ok(Owned {
        shard: row.shard()?,
        server: row.maybe_id("server_id")?,
        epoch: Epoch(row.whole("epoch")?),
        rpc_address: row.maybe_text("rpc_address")?.map(str::to_owned),
        dead: row.flag("dead")?,
        desired: match (row.maybe_id("desired_server")?, row.maybe_at("desired_until")?) {
            (Some(server), Some(until)) => Some(Desired { server, until }),
            _ => None,
        },
    })
}

/// A shard and what its claim, or the rise of its epoch, made of it: `app_id`, `shard`, `epoch`, `outage_from`.
pub(in crate::store) fn claimed(row: &impl Cells) -> Result<(ShardKey, Claimed), StoreError> {
    let row = Reader::new(row, "fastjob_app_owner", "app_id");
    let claimed = Claimed { epoch: Epoch(row.whole("epoch")?), outage_from: row.maybe_at("outage_from")? };
    Ok((row.shard()?, claimed))
}

/// A renewal: in each row the same `own_phase`, `owners` and `tokens`; and `id`, `seq` and `phase` of another server,
/// null in the only row if there is none.
pub(in crate::store) fn renewal(
    rows: &[impl Cells],
    now: Option<Millis>,
) -> Result<Option<Renewal>, StoreError> {
    let Some(first) = rows.first() else { return Ok(None) };
    let own = Reader::new(first, "fastjob_server", "own_id");
    let others = rows.iter().map(|row| other(row).transpose()).flatten();
    Ok(Some(Renewal {
        now,
        phase: own.word("own_phase", phase_parse)?,
        others: others.collect::<Result<_, StoreError>>()?,
        changes: Changes { owners: own.bits("owners")?, tokens: own.bits("tokens")? },
    }))
}

fn other(row: &impl Cells) -> Result<Option<(ServerId, u64, ServerPhase)>, StoreError> {
    let row = Reader::new(row, "fastjob_server", "id");
    let Some(id) = row.maybe_id("id")? else { return Ok(None) };
    Ok(Some((id, row.bits("seq")?, row.word("phase", phase_parse)?)))
}

/// The word of a phase.
pub(in crate::store) const fn phase_word(phase: ServerPhase) -> &'static str {
    match phase {
        ServerPhase::Up => "up",
        ServerPhase::Draining => "draining",
        ServerPhase::Dead => "dead",
    }
}

fn phase_parse(word: &str) -> Option<ServerPhase> {
    [ServerPhase::Up, ServerPhase::Draining, ServerPhase::Dead]
        .into_iter()
        .find(|known| phase_word(*known) == word)
}
