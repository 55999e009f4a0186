//go:build !linux

package site

import (
	"context"
	"errors"
)

func (l *line) runPort(context.Context) error {
	return errors.New("a serial port can be played on Linux only: rehearse with --wire rtuovertcp, which has the same frames")
}
