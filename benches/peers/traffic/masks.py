"""The six scenarios of the traffic completion papers, as folders that traffic.mba can run in.

    python masks.py hangzhou_metro.npy FOLDER [MBA]

The data are stations by days by slots; the papers order them (station, slot, day). Masks are made with numpy's legacy
generator, seeded with 1000 before each. Cells that are zero count as missing, and errors are over the hidden cells that are
not. With MBA, the command, every scenario is run and a table printed beside the best recorded results of the specialists
(LRTC-TNN, LATC, BGCP; each tuned for each scenario).
"""
import json, os, shutil, subprocess, sys, time
import numpy as np

BEST = {
    "random 0.3": (0.1863, 24.95), "random 0.7": (0.2014, 28.25), "random 0.9": (0.2295, 34.44),
    "days 0.3": (0.1939, 47.38), "days 0.7": (0.2264, 41.83), "blocks 0.3": (0.2137, 28.64),
}


def seen(kind, rate, shape=(80, 108, 25)):
    stations, slots, days = shape
    np.random.seed(1000)
    if kind == "random":
        return np.round(np.random.rand(*shape) + 0.5 - rate)
    if kind == "days":
        whole = np.round(np.random.rand(stations, days) + 0.5 - rate)
        return np.broadcast_to(whole[:, None, :], shape)
    v = np.random.rand(slots * days // 6)
    whole = np.round(np.repeat(v, 6).reshape((slots, days), order="F") + 0.5 - rate)
    return np.broadcast_to(whole[None], shape)


def kinds(a):
    """The same over (station, slot, day, kind): a day is of one kind."""
    rest = np.isin(np.arange(a.shape[2]), [0, 4, 5, 11, 12, 18, 19])  # weekends, and the first of January
    return np.stack([a * ~rest, a * rest], axis=3).astype(a.dtype)


def main():
    data, folder, *command = sys.argv[1:]
    x = np.load(data).transpose(0, 2, 1).astype("float64")
    model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traffic.mba")
    for name, (mape, rmse) in BEST.items():
        kind, rate = name.split()
        place = os.path.join(folder, name.replace(" ", "_"))
        os.makedirs(place, exist_ok=True)
        np.save(os.path.join(place, "flow.npy"), kinds(x))
        hidden = (x > 0) & (seen(kind, float(rate)) == 0)
        np.save(os.path.join(place, "hidden.npy"), kinds(hidden))
        shutil.copy(model, place)
        if not command:
            continue
        start = time.time()
        out = subprocess.run(command + ["run", os.path.join(place, "traffic.mba"), "--format", "jsonl"],
                             capture_output=True, text=True)
        took = time.time() - start
        lines = [json.loads(line) for line in out.stdout.splitlines()]
        found = {o["show"]: o["value"] for o in lines if "show" in o}
        fit = next((o for o in lines if "fit" in o), {})
        own = found.get("traffic.held_out.mape"), found.get("traffic.held_out.rmse")
        if None in own:
            print(name, out.stdout[-2000:], out.stderr[-2000:])
            continue
        print(f"{name:11} {own[0]:.4f} / {own[1]:.2f}  best {mape:.4f} / {rmse:.2f}  {own[0] / mape - 1:+.1%} "
              f"open {found['traffic.held_out.unidentified']}  {fit.get('status')} in {took:.1f} s", flush=True)


if __name__ == "__main__":
    main()
