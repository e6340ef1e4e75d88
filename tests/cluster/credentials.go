package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/client-go/util/keyutil"
)

const adminToken = "admintoken"

// credentials names the files that a cluster keeps over restarts.
type credentials struct {
	serviceAccountKey string
	tokens            string
	certificates      string
}

func credentialsIn(dir string) credentials {
	return credentials{
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
		tokens:            filepath.Join(dir, "tokens.csv"),
		certificates:      filepath.Join(dir, "certificates"),
	}
}

func loadOrCreateCredentials(dir string) (credentials, error) {
	files := credentialsIn(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return files, err
	}
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return files, err
	}
	return files, errors.Join(
		createOnce(files.serviceAccountKey, key),
		createOnce(files.tokens, []byte(adminToken+`,admin,admin,"system:masters"`+"\n")),
	)
}

// certificateAuthority is what clients verify the API server with. The file is
// kube-apiserver's own: its self-signed certificate ends with the signer.
func (c credentials) certificateAuthority() string {
	return filepath.Join(c.certificates, "apiserver.crt")
}

func createOnce(path string, content []byte) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
