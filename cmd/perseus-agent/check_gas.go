package main

import (
	"fmt"
	"slices"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// gasLines say by what the volume of a meter is turned into energy; none of
// one that measures no gas.
func gasLines(c *config.Config, m config.Meter) []string {
	if !slices.Contains(m.Measures(), energy.Gas) {
		return nil
	}
	by, err := c.Conversion(m)
	if err != nil {
		return []string{"its energy is not worked out: " + err.Error()}
	}
	factor, err := by.Factor()
	if err != nil {
		return []string{"its energy is not worked out: " + err.Error()}
	}
	volume := fmt.Sprintf("its energy is worked out with a volume correction factor of %s", factor)
	if by.Corrected {
		volume = "gas is counted at standard conditions: no volume correction is due"
	}
	if !m.ConvertedFrom.IsZero() {
		volume += ", from 05:00 on " + m.ConvertedFrom.In(energy.London()).Format("2 January 2006") + " on"
	}
	values := "no daily calorific values are given (gas: calorific_values), so that one stands in and its energy is an estimate"
	switch last, ok := agent.NewGas(c, nil).Last(by.Zone); {
	case by.Zone == "":
		values = "its zone is not known (zone: NT, say), so that a calorific value stands in and its energy is an estimate"
	case ok:
		values = fmt.Sprintf("calorific values of zone %s are there up to %s; where one is missing another stands in and its energy is an estimate", by.Zone, last)
	case len(c.Gas.CalorificValues) > 0:
		values = fmt.Sprintf("the files of calorific values have none of zone %s, so that one stands in and its energy is an estimate", by.Zone)
	}
	return []string{volume, values}
}
