package cli

import (
	"context"
	"io"
)

func Send(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error { return sendCommand(ctx, args, stdin, stdout, stderr) }
func Tail(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error { return tailCommand(ctx, args, stdin, stdout, stderr) }
