package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// sandboxImage is what tests/cluster/pause/image.sh makes.
const sandboxImage = "webhook-cluster/pause:1"

// containerd is a running one. It keeps its state where it looks for that by
// itself: the node has its own /run.
type containerd struct {
	socket string
}

const containerdConfig = `version = 2
root = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  # Else runc fails where it may not lower a score of the OOM killer.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
`

// Names of pods' Services must be answered from the pods behind them too
// (hairpinMode).
const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func startContainerd(dir string, programs children) (containerd, error) {
	networks := filepath.Join(dir, "config", "cni")
	err := writeConfig(filepath.Join(networks, "pods.conflist"), fmt.Sprintf(cniConfig, podCIDR))
	if err != nil {
		return containerd{}, err
	}
	config := filepath.Join(dir, "config", "containerd.toml")
	root := filepath.Join(dir, "containerd")
	err = writeConfig(config, fmt.Sprintf(containerdConfig, root, sandboxImage, networks))
	if err != nil {
		return containerd{}, err
	}
	running := containerd{socket: "/run/containerd/containerd.sock"}
	return running, programs.start("containerd", exec.Command("containerd", "--config", config))
}

func (c containerd) awaitSocket(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
		connection, err := net.Dial("unix", c.socket)
		if err != nil {
			return false, nil
		}
		return true, connection.Close()
	})
}

// importImages imports the sandbox image, which lies beside this binary, and
// every archive in the folder, if one is named.
func (c containerd) importImages(ctx context.Context, folder string) error {
	if err := c.awaitSocket(ctx); err != nil {
		return err
	}
	binary, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	archives := []string{filepath.Join(filepath.Dir(binary), "pause.tar")}
	if folder != "" {
		found, err := filepath.Glob(filepath.Join(folder, "*.tar"))
		if err != nil {
			return err
		}
		archives = append(archives, found...)
	}
	for _, archive := range archives {
		cmd := exec.CommandContext(ctx, "ctr", "--address", c.socket, "--namespace", "k8s.io", "images", "import", archive)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: %w\n%s", archive, err, output)
		}
	}
	return nil
}

func writeConfig(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}
