{{/* Names, labels and other shared definitions. */}}

{{- define "webhook-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: Service names add 9, and the revision label of a StatefulSet adds 11;
both are limited to 63. */}}
{{- define "webhook-operator.fullname" -}}
{{- $name := include "webhook-operator.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of cluster-scoped objects. It includes the namespace, because a release in another namespace may have the same name. */}}
{{- define "webhook-operator.clusterName" -}}
{{- printf "%s:%s" (include "webhook-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Unlike RBAC names, the name of a policy must not contain a colon. */}}
{{- define "webhook-operator.admissionPolicyName" -}}
{{- printf "%s-adopt.%s" (include "webhook-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "webhook-operator.adoptRoleName" -}}
{{- printf "%s-adopt:%s" (include "webhook-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "webhook-operator.serviceAccountName" -}}
{{- $default := ternary (include "webhook-operator.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{- define "webhook-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "webhook-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "webhook-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "webhook-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "webhook-operator.image" -}}
{{- $image := printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- with .Values.image.digest }}{{ $image = printf "%s@%s" $.Values.image.repository . }}{{ end -}}
{{- $image -}}
{{- end -}}

{{/* URL scheme of the trigger port. */}}
{{- define "webhook-operator.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.secretName)) -}}
{{- end -}}

{{/* Labels of the admin port's Service, which the ServiceMonitor selects by. */}}
{{- define "webhook-operator.adminLabels" -}}
app.kubernetes.io/component: admin
{{- end -}}

{{/* Converts whole seconds or minutes to a number of seconds. */}}
{{- define "webhook-operator.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- ternary (mul $number 60) $number (hasSuffix "m" .) -}}
{{- end -}}

{{- define "webhook-operator.terminationGracePeriodSeconds" -}}
{{- $delay := include "webhook-operator.seconds" .Values.shutdownDelay -}}
{{- $drain := include "webhook-operator.seconds" .Values.drainTimeout -}}
{{- $needed := add (int $delay) (int $drain) 5 | int -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if and (kindIs "invalid" $given | not) (lt (int $given) $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short: shutdownDelay and drainTimeout need %d" (int $given) $needed) -}}
{{- end -}}
{{- default $needed $given | int -}}
{{- end -}}

{{- define "webhook-operator.topologySpreadConstraints" -}}
{{- $own := dict "matchLabels" (include "webhook-operator.selectorLabels" . | fromYaml) -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $selector := ternary .labelSelector $own (hasKey . "labelSelector") -}}
{{- $constraints = append $constraints (set (deepCopy .) "labelSelector" $selector) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/* The label `job` of this release's series in Prometheus, unique per release. */}}
{{- define "webhook-operator.job" -}}
{{- default (printf "%s/%s" .Release.Namespace (include "webhook-operator.fullname" .)) .Values.prometheusRule.job -}}
{{- end -}}
