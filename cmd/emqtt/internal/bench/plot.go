// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The size of a panel of the plot, in pixels, and of what is around its curves.
const (
	panelWidth, panelHeight     = 460, 280
	marginLeft, marginRight     = 62, 34
	marginTop, marginBottom     = 40, 38
	panelsPerRow                = 2
	legendStep, tickLength      = 84, 4
	fontSize, titleSize, radius = 11, 13, 3
)

// colours are the brokers', in their order; a sixth begins anew.
var colours = []string{"#1b6ac9", "#c9541b", "#2a8a3e", "#8a2a7d", "#6b6b6b"}

// SVG draws a panel for each axis and quantity, both scales logarithmic: a cost
// that does not grow is a level line, one that grows with n a slope of one in one.
func (t *Table) SVG(w io.Writer) error {
	var b strings.Builder
	panels := 0
	for i := range t.comparison.Axes {
		a := &t.comparison.Axes[i]
		for _, q := range t.grown(a) {
			if curves := t.curves(a, q); len(curves) > 0 {
				fmt.Fprintf(&b, "<g transform=\"translate(%d %d)\">\n", panels%panelsPerRow*panelWidth, panels/panelsPerRow*panelHeight)
				t.panel(&b, a, q.name, curves)
				b.WriteString("</g>\n")
				panels++
			}
		}
	}
	rows := (panels + panelsPerRow - 1) / panelsPerRow
	_, err := fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"%d\">\n"+
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n%s</svg>\n", panelsPerRow*panelWidth, rows*panelHeight, fontSize, b.String())
	return err
}

// panel draws one quantity along one axis.
func (t *Table) panel(b *strings.Builder, a *Axis, name string, curves []curve) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, p := range c.points {
			low, high = min(low, p.value), max(high, p.value)
		}
	}
	low, high = decade(low, math.Floor), decade(high, math.Ceil)
	if low == high {
		high *= 10
	}
	x := scale(float64(a.Values[0]), float64(a.Values[len(a.Values)-1]), marginLeft, panelWidth-marginRight)
	y := scale(low, high, panelHeight-marginBottom, marginTop)
	label(b, marginLeft, titleSize+2, "start", fmt.Sprintf("%s along %s", name, a.Name))
	for v := low; v <= high*1.01; v *= 10 {
		fmt.Fprintf(b, "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/>\n", marginLeft, y(v), panelWidth-marginRight)
		label(b, marginLeft-tickLength, y(v)+tickLength, "end", figure(v))
	}
	for _, n := range a.Values {
		label(b, x(float64(n)), panelHeight-marginBottom+fontSize+tickLength, "middle", thousands(float64(n)))
	}
	for _, c := range curves {
		t.draw(b, c, x, y)
	}
}

// draw draws a curve and its entry of the legend.
func (t *Table) draw(b *strings.Builder, c curve, x, y func(float64) float64) {
	place := 0
	for i := range t.comparison.Brokers {
		if t.comparison.Brokers[i].Name == c.broker {
			place = i
		}
	}
	colour := colours[place%len(colours)]
	path := ""
	for i, p := range c.points {
		px, py := x(float64(p.n)), y(p.value)
		path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(i, 1)], px, py)
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"/>\n", px, py, radius, colour)
	}
	fmt.Fprintf(b, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", path, colour)
	fmt.Fprintf(b, "<g fill=\"%s\">", colour)
	label(b, float64(marginLeft+place*legendStep), titleSize+fontSize+6, "start", c.broker)
	b.WriteString("</g>\n")
}

func label[N int | float64](b *strings.Builder, x, y N, anchor, text string) {
	fmt.Fprintf(b, "<text x=\"%v\" y=\"%v\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(text))
}

// decade is the power of ten at or beside v.
func decade(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// scale maps from..to to pixels, logarithmically; both are above 0.
func scale(from, to, first, last float64) func(float64) float64 {
	return func(v float64) float64 {
		return math.Round((first+(last-first)*math.Log(v/from)/math.Log(to/from))*10) / 10
	}
}
