//! Pictures as SVG.

use plotters::prelude::*;

use super::{Content, Figure, Panel};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 330;
const INK: RGBColor = RGBColor(31, 78, 121);
const PALE: RGBColor = RGBColor(120, 120, 120);

/// Draws a figure.
pub fn draw(figure: &Figure) -> Result<String, String> {
    let mut out = String::new();
    let height = HEIGHT * figure.panels.len().max(1) as u32;
    {
        let root = SVGBackend::with_string(&mut out, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| e.to_string())?;
        for (area, panel) in root.split_evenly((figure.panels.len().max(1), 1)).iter().zip(&figure.panels) {
            panel_on(area, panel)?;
        }
        root.present().map_err(|e| e.to_string())?;
    }
    Ok(out)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

type Plane<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// A pair of axes under a title, with room for the labels beside them.
fn plane<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    beside: u32,
    across: std::ops::Range<f64>,
    up: std::ops::Range<f64>,
) -> Result<Plane<'a, 'b>, String> {
    ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(beside)
        .build_cartesian_2d(across, up)
        .map_err(|e| e.to_string())
}

fn panel_on(area: &Area<'_>, panel: &Panel) -> Result<(), String> {
    match &panel.content {
        Content::Line { points, marks } => line(area, panel, points, marks),
        Content::Bars(bars) => bars_on(area, panel, bars),
        Content::Field { rows, columns, values } => field(area, panel, rows, columns, values),
    }
}

/// The ends of an axis that holds all values with a little room; never empty.
fn span(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let width = if high > low { high - low } else { 1.0f64.max(high.abs() * 0.1) };
    (low - room * width, high + room * width)
}

fn line(
    area: &Area<'_>,
    panel: &Panel,
    points: &[(f64, f64)],
    marks: &[(f64, String)],
) -> Result<(), String> {
    let (left, right) = span(points.iter().map(|p| p.0), 0.02);
    let (low, high) = span(points.iter().map(|p| p.1), 0.06);
    let mut chart = plane(area, &panel.title, 74, left..right, low..high)?;
    chart
        .configure_mesh()
        .x_desc(&panel.across)
        .y_desc(&panel.up)
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(232, 232, 232))
        .axis_style(PALE)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(|e| e.to_string())?;
    for (x, name) in marks.iter().filter(|(x, _)| *x >= left && *x <= right) {
        let dashes = 40;
        let at = |k: usize| low + (high - low) * k as f64 / dashes as f64;
        let dash = |k: usize| PathElement::new(vec![(*x, at(k)), (*x, at(k + 1))], PALE);
        chart.draw_series((0..dashes).step_by(2).map(dash)).map_err(|e| e.to_string())?;
        let place = (*x + (right - left) * 0.008, high - (high - low) * 0.02);
        let label = Text::new(format!("{name} = {x:.6}"), place, ("sans-serif", 12).into_font().color(&PALE));
        chart.draw_series(std::iter::once(label)).map_err(|e| e.to_string())?;
    }
    // a line is broken where a value is missing
    for run in points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|r| !r.is_empty()) {
        if points.len() <= 200 {
            let dots = run.iter().map(|p| Circle::new(*p, 2, INK.filled()));
            chart.draw_series(dots).map_err(|e| e.to_string())?;
        }
        let series = LineSeries::new(run.iter().copied(), INK.stroke_width(2));
        chart.draw_series(series).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn bars_on(area: &Area<'_>, panel: &Panel, bars: &[(String, f64)]) -> Result<(), String> {
    let (low, high) = span(bars.iter().map(|b| b.1).chain([0.0]), 0.0);
    let high = if high > 0.0 { high + (high - low) * 0.06 } else { high };
    let count = bars.len().max(1);
    let mut chart = plane(area, &panel.title, 74, 0.0..count as f64, low..high)?;
    let name = |x: &f64| {
        let k = x.floor();
        let near = (x - k - 0.5).abs() < 1e-6;
        if near { bars.get(k as usize).map_or(String::new(), |b| b.0.clone()) } else { String::new() }
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .x_desc(&panel.across)
        .y_desc(&panel.up)
        .x_label_formatter(&name)
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(232, 232, 232))
        .axis_style(PALE)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(|e| e.to_string())?;
    let shapes = bars.iter().enumerate().filter(|(_, b)| b.1.is_finite()).map(|(k, (_, y))| {
        let x = k as f64;
        Rectangle::new([(x + 0.15, 0.0), (x + 0.85, *y)], INK.filled())
    });
    chart.draw_series(shapes).map_err(|e| e.to_string())?;
    names_below(&mut chart, bars.iter().map(|b| b.0.as_str()), low)
}

/// The names of places along the horizontal axis, as many as there is room for.
fn names_below<'n>(
    chart: &mut Plane<'_, '_>,
    names: impl ExactSizeIterator<Item = &'n str>,
    low: f64,
) -> Result<(), String> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    const ROOM: f64 = (WIDTH - 110) as f64;
    let count = names.len().max(1);
    let names: Vec<&str> = names.collect();
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(1).min(18);
    let most = (ROOM / (7.5 * longest.max(2) as f64)).floor().max(1.0);
    let every = (count as f64 / most).ceil().max(1.0) as usize;
    let style = ("sans-serif", 12).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
    for (k, name) in names.iter().enumerate().step_by(every) {
        let short: String = if name.chars().count() > 18 {
            name.chars().take(17).chain(['…']).collect()
        } else {
            (*name).to_string()
        };
        let (x, y) = chart.backend_coord(&(k as f64 + 0.5, low));
        chart
            .plotting_area()
            .strip_coord_spec()
            .draw(&Text::new(short, relative(chart, (x, y + 6)), style.clone()))
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// A place in the picture as a place in the plotting area.
fn relative(chart: &Plane<'_, '_>, (x, y): (i32, i32)) -> (i32, i32) {
    let (left, top) = chart.plotting_area().strip_coord_spec().get_base_pixel();
    (x - left, y - top)
}

fn field(
    area: &Area<'_>,
    panel: &Panel,
    rows: &[String],
    columns: &[String],
    values: &[f64],
) -> Result<(), String> {
    let (low, high) = span(values.iter().copied(), 0.0);
    let title = format!("{} (from {low:.4} to {high:.4})", panel.title);
    let (right, top) = (columns.len().max(1) as f64, rows.len().max(1) as f64);
    let mut chart = plane(area, &title, 110, 0.0..right, 0.0..top)?;
    let height = rows.len();
    let row_name = |y: &f64| {
        let k = (height as f64 - y).floor();
        let near = ((height as f64 - y) - k - 0.5).abs() < 1e-6;
        if near && k >= 0.0 { rows.get(k as usize).cloned().unwrap_or_default() } else { String::new() }
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(0)
        .y_labels(0)
        .y_label_formatter(&row_name)
        .x_desc(&panel.across)
        .y_desc(&panel.up)
        .axis_style(PALE)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(|e| e.to_string())?;
    let cells = values.iter().enumerate().filter(|(_, v)| v.is_finite()).map(|(flat, v)| {
        let (row, column) = (flat / columns.len().max(1), flat % columns.len().max(1));
        let (x, y) = (column as f64, (height - 1 - row) as f64);
        let share = if high > low { (v - low) / (high - low) } else { 0.5 };
        Rectangle::new([(x, y), (x + 1.0, y + 1.0)], shade(share).filled())
    });
    chart.draw_series(cells).map_err(|e| e.to_string())?;
    names_below(&mut chart, columns.iter().map(String::as_str), 0.0)?;
    names_beside(&mut chart, rows)
}

fn names_beside(chart: &mut Plane<'_, '_>, rows: &[String]) -> Result<(), String> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let every = (rows.len() as f64 / 16.0).ceil().max(1.0) as usize;
    let style = ("sans-serif", 12).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    for (k, name) in rows.iter().enumerate().step_by(every) {
        let (x, y) = chart.backend_coord(&(0.0, (rows.len() - k) as f64 - 0.5));
        let short: String = name.chars().take(13).collect();
        chart
            .plotting_area()
            .strip_coord_spec()
            .draw(&Text::new(short, relative(chart, (x - 6, y)), style.clone()))
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// From pale to dark, even in lightness.
fn shade(share: f64) -> RGBColor {
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
    RGBColor(mix(240, 12), mix(246, 44), mix(252, 92))
}
