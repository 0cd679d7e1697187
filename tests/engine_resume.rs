//! A fit that goes on from a kept state gives the bits of one that never stopped.

mod engine;

use engine::*;
use mba::data::Tensor;
use mba::model::EnergyModel;
use mba::run::{Control, Fit, Flow, Observer, Silent, State, Status, Sweep, execute, resume};
use mba::text::Code;

/// Keeps every state, and interrupts after so many sweeps.
struct Keep {
    states: Vec<State>,
    last: Vec<bool>,
    until: usize,
}

impl Observer for Keep {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        if sweep.number >= self.until { Flow::Interrupt } else { Flow::Continue }
    }
    fn between(&mut self, last: bool, save: &dyn Fn() -> State) {
        self.states.push(save());
        self.last.push(last);
    }
    fn keeps(&self) -> bool {
        true
    }
}

fn keeping(model: &EnergyModel, tensor: &Tensor, control: &Control, until: usize) -> (Fit, Keep) {
    let mut keep = Keep { states: Vec::new(), last: Vec::new(), until };
    let fit = execute(&plan(model, tensor), model, tensor, control, &mut keep).expect("a fit");
    (fit, keep)
}

/// Every number of a fit, as bits.
fn bits(fit: &Fit) -> Vec<u64> {
    let q = &fit.distribution;
    let cliques = q.cliques.iter().flat_map(|c| c.belief.values.iter());
    let separators = q.cliques.iter().filter_map(|c| c.parent.as_ref()).flat_map(|(_, s)| &s.values);
    let potentials = q.potentials.iter().flat_map(|t| &t.values);
    let certificate = [fit.certificate.marginal_gap, fit.certificate.optimality_gap.unwrap_or(-1.0)];
    let counted = [fit.counters.operations, fit.counters.bytes, fit.counters.peak];
    let own = [fit.kl, fit.total, fit.data_entropy, fit.iterations as f64];
    let numbers = cliques.chain(separators).chain(potentials).chain(&q.log_mass).copied();
    numbers.chain(certificate).chain(counted).chain(own).map(f64::to_bits).collect()
}

fn cases() -> Vec<(&'static str, EnergyModel, Tensor, Control)> {
    let tight = Control { tolerance: 1e-12, ..Control::default() };
    let pairs: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 2]];
    let mut all = Vec::new();
    let shape = [4, 5, 6];
    all.push(("tables", model(&shape, &pairs), tensor(&shape, &det(&shape)), tight));
    let mut holes = det(&shape);
    holes.iter_mut().step_by(3).for_each(|x| *x = 0.0);
    all.push(("zeros", model(&shape, &pairs), sparse(&shape, &holes), tight));
    // two atoms that meet in a mode, each with its own sweeps
    let shape = [3, 4, 5, 4, 3];
    let two: [&[usize]; 6] = [&[0, 1], &[1, 2], &[0, 2], &[2, 3], &[3, 4], &[2, 4]];
    all.push(("two atoms", model(&shape, &two), tensor(&shape, &det(&shape)), tight));
    // cliques that stay products of factors, strongly coupled
    let shape = [17, 16, 16];
    let mut stream = Stream(7);
    let mut table = |n: usize| -> Vec<f64> { (0..n).map(|_| 6.0 * stream.unit() - 3.0).collect() };
    let (ab, bc, ac) = (table(17 * 16), table(16 * 16), table(17 * 16));
    let mut values = det(&shape);
    for (k, x) in values.iter_mut().enumerate() {
        let i = unravel(k, &shape);
        *x *= (ab[i[0] * 16 + i[1]] + bc[i[1] * 16 + i[2]] + ac[i[0] * 16 + i[2]]).exp();
    }
    all.push(("factors", model(&shape, &pairs), tensor(&shape, &values), tight));
    // factors that spread too far on the way, and become tables
    let mut spread = values.clone();
    let uneven = |(c, x): (usize, &mut f64)| *x *= (-((c / 16) as f64)).exp().max(1e-280);
    spread.iter_mut().enumerate().for_each(uneven);
    let brief = Control { max_sweeps: 60, ..Control::default() };
    all.push(("spread", model(&shape, &pairs), tensor(&shape, &spread), brief));
    // with a fixed energy beside the free tables
    let shape = [4, 5, 6];
    let mut with_energy = model(&shape, &pairs);
    with_energy.interactions.push(fixed(&shape, &[0, 1, 2], |i| (i[0] * i[1] + i[2]) as f64 * 0.1));
    all.push(("energy", with_energy, tensor(&shape, &det(&shape)), tight));
    let plain = Control { acceleration: false, tolerance: 1e-9, ..Control::default() };
    all.push(("unaccelerated", model(&shape, &pairs), tensor(&shape, &det(&shape)), plain));
    all
}

#[test]
fn from_every_sweep_on_the_bits_are_the_same() {
    for (name, model, tensor, control) in cases() {
        let schedule = plan(&model, &tensor);
        let straight = execute(&schedule, &model, &tensor, &control, &mut Silent).expect("a fit");
        let (kept, keep) = keeping(&model, &tensor, &control, usize::MAX);
        assert_eq!(bits(&straight), bits(&kept), "{name}: keeping states changes nothing");
        let factors = ["factors", "spread"].contains(&name);
        assert_eq!(schedule.tree().contains("never a table"), factors, "{name}");
        assert!(keep.states.len() >= 2, "{name}: {} states", keep.states.len());
        let step = keep.states.len().div_ceil(25);
        for (k, state) in keep.states.into_iter().enumerate().step_by(step) {
            let again = resume(&schedule, &model, &tensor, &control, &mut Silent, state).expect("a fit");
            assert_eq!(again.status, straight.status, "{name} from state {k}");
            assert!(bits(&again) == bits(&straight), "{name} from state {k} has other bits");
        }
    }
}

#[test]
fn an_interrupted_fit_goes_on_where_it_was() {
    for (name, model, tensor, control) in cases() {
        let schedule = plan(&model, &tensor);
        let straight = execute(&schedule, &model, &tensor, &control, &mut Silent).expect("a fit");
        for until in [1, 2, 11, 12] {
            let (part, mut keep) = keeping(&model, &tensor, &control, until);
            if part.status != Status::Interrupted || keep.last.last() != Some(&true) {
                continue;
            }
            let state = keep.states.pop().expect("kept at the end");
            let again = resume(&schedule, &model, &tensor, &control, &mut Silent, state).expect("a fit");
            assert!(bits(&again) == bits(&straight), "{name} after {until} sweeps");
        }
    }
}

#[test]
fn asking_to_end_after_the_last_sweep_cuts_nothing_short() {
    for (name, model, tensor, control) in cases() {
        let straight =
            execute(&plan(&model, &tensor), &model, &tensor, &control, &mut Silent).expect("a fit");
        let (late, _) = keeping(&model, &tensor, &control, straight.iterations);
        assert_eq!(late.status, straight.status, "{name}");
        assert!(bits(&late) == bits(&straight), "{name}");
        let (early, _) = keeping(&model, &tensor, &control, 1);
        assert_eq!(early.status, Status::Interrupted, "{name}");
        // no bound is waited for
        assert!(early.certificate.optimality_gap.is_none(), "{name}: {:?}", early.certificate);
        assert!(name == "spread" || early.certificate.marginal_gap > 0.0, "{name}: {:?}", early.certificate);
    }
}

#[test]
fn sweeps_that_ran_out_can_be_given_more() {
    let mut seen = 0;
    for (name, model, tensor, control) in cases() {
        let schedule = plan(&model, &tensor);
        let straight = execute(&schedule, &model, &tensor, &control, &mut Silent).expect("a fit");
        for most in [3, 12] {
            let few = Control { max_sweeps: most, ..control };
            let (stopped, mut keep) = keeping(&model, &tensor, &few, usize::MAX);
            // where two atoms stop, the state of the first is not that of more sweeps
            if stopped.status != Status::Stopped || name == "two atoms" {
                continue;
            }
            seen += 1;
            assert_eq!(keep.last.last(), Some(&true), "{name}");
            let state = keep.states.pop().expect("kept before the last sweep");
            let again = resume(&schedule, &model, &tensor, &control, &mut Silent, state).expect("a fit");
            assert!(bits(&again) == bits(&straight), "{name} after {most} sweeps");
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn a_state_of_something_else_is_refused() {
    let mut cases = cases();
    let (_, model, tensor, control) = cases.remove(0);
    let (_, keep) = keeping(&model, &tensor, &control, usize::MAX);
    for (name, other, data, _) in cases.drain(..3) {
        let schedule = plan(&other, &data);
        let state = keep.states[0].clone();
        let refused = resume(&schedule, &other, &data, &control, &mut Silent, state);
        if name != "zeros" {
            assert_eq!(refused.expect_err(name)[0].code, Code::MBA532);
        }
    }
    let schedule = plan(&model, &tensor);
    let empty = resume(&schedule, &model, &tensor, &control, &mut Silent, State::default());
    assert_eq!(empty.expect_err("nothing in it")[0].code, Code::MBA532);
}
