// Serves the real trickle server on loopback, for tests/interop.rs.
//
// The program prints one line, the base URL of its channels, and ends when its standard input is closed, so that
// it does not outlive its test. It creates the channels itself: as on an orchestrator, a POST creates none.
//
// Does not: anything else that an orchestrator does.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/livepeer/go-livepeer/trickle"
)

const basePath = "/ai/trickle/"

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port")
	secure := flag.Bool("tls", false, "serve HTTPS with a fresh self-signed certificate")
	channels := flag.String("channels", "", "names of the channels, separated by commas")
	flag.Parse()

	mux := http.NewServeMux()
	server := trickle.ConfigureServer(trickle.TrickleServerConfig{
		BasePath:   basePath,
		Mux:        mux,
		Autocreate: false,
	})
	server.Start()
	for _, name := range strings.Split(*channels, ",") {
		trickle.NewLocalPublisher(server, name, "video/MP2T").CreateChannel()
	}

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()

	web := &http.Server{Handler: mux}
	scheme := "http"
	if *secure {
		scheme = "https"
		certificate, err := selfSigned()
		if err != nil {
			log.Fatal(err)
		}
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	fmt.Printf("%s://%s%s\n", scheme, listener.Addr(), strings.TrimSuffix(basePath, "/"))
	if *secure {
		// Offers h2 and http/1.1, as Go does by itself.
		err = web.ServeTLS(listener, "", "")
	} else {
		err = web.Serve(listener)
	}
	log.Fatal(err)
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "interop"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"127.0.0.1"},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
