//! Which tables are alive when, and the peak of what they take.

use super::options::Profile;
use super::partition::together;
use super::schedule::{Buffer, BufferId, Instruction, Match, Place, Role, Step};

/// Fills in what each step frees and what is alive while it runs; returns the peak in bytes. A table
/// lives from the step that first writes it to the step that last touches it; beliefs, separators,
/// potentials and the statistics of generators live to the end, because they are the result. Atoms
/// side by side need what each of them needs, all at once.
pub fn live(
    steps: &mut [Step],
    groups: &[Vec<std::ops::Range<usize>>],
    buffers: &[Buffer],
    places: &[Place],
    matches: &[(usize, Match)],
    profile: Option<&Profile>,
) -> f64 {
    let mut kept = vec![false; buffers.len()];
    let mut keep = |id: BufferId| {
        if let Some(k) = kept.get_mut(id.0) {
            *k = true;
        }
    };
    for place in places {
        keep(place.belief);
        if let Some((_, s)) = place.parent {
            keep(s);
        }
    }
    for (_, m) in matches {
        keep(m.statistic);
        keep(m.potential);
    }
    // an atom that is never put into tables is certified and handed back as factors and messages
    let loose =
        |s: &Step| matches!(&s.instruction, Instruction::Certify { factored, .. } if !factored.is_empty());
    if steps.iter().any(loose) {
        for (k, buffer) in kept.iter_mut().zip(buffers) {
            *k |= matches!(buffer.role, Role::Factor | Role::Incoming | Role::View | Role::Weight);
        }
    }
    let mut last = vec![0; buffers.len()];
    for (i, step) in steps.iter().enumerate() {
        for id in step.instruction.reads().into_iter().chain(step.instruction.writes()) {
            if let Some(l) = last.get_mut(id.0) {
                *l = i;
            }
        }
    }
    let mut ending: Vec<Vec<BufferId>> = vec![Vec::new(); steps.len()];
    for (k, l) in last.iter().enumerate() {
        if let (false, Some(list)) = (kept[k], ending.get_mut(*l)) {
            list.push(BufferId(k));
        }
    }
    let data = profile.map_or(0.0, Profile::resident_bytes);
    let mut alive = vec![false; buffers.len()];
    let mut bytes = data;
    let mut peak = data;
    for i in 0..steps.len() {
        if let Some(group) = groups.iter().find(|g| g.first().is_some_and(|r| r.start == i)) {
            peak = peak.max(bytes + together(group, steps, buffers, &alive));
        }
        let Some(step) = steps.get_mut(i) else { continue };
        for id in step.instruction.writes() {
            if let (Some(a), Some(b)) = (alive.get_mut(id.0), buffers.get(id.0))
                && !std::mem::replace(a, true)
            {
                bytes += b.bytes();
            }
        }
        step.live = bytes + 8.0 * step.scratch;
        peak = peak.max(step.live);
        step.frees.clear();
        for id in ending.get(i).into_iter().flatten() {
            bytes -= buffers.get(id.0).map_or(0.0, Buffer::bytes);
            step.frees.push(*id);
        }
    }
    peak
}
