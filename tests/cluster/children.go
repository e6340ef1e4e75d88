package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const lastWords = 20

// children are the programs of the node, each with a log of its own.
type children struct {
	logs string
	// fail is told the end of the first one that ends.
	fail context.CancelCauseFunc
}

// start runs a program that is not meant to end.
func (c children) start(name string, cmd *exec.Cmd) error {
	path := filepath.Join(c.logs, name+".log")
	if err := os.MkdirAll(c.logs, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := cmd.Wait()
		c.fail(fmt.Errorf("%s ended: %v; its log ends with\n%s", name, err, tail(path)))
	}()
	return nil
}

func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-lastWords):], "\n")
}
