{{/* Names, labels and what else several templates say. */}}

{{- define "webhook-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: the names of Services add 9, and the label of a StatefulSet's revision 11;
each may have 63. */}}
{{- define "webhook-operator.fullname" -}}
{{- $name := include "webhook-operator.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of what has no namespace: another release may have the same name in another namespace. */}}
{{- define "webhook-operator.clusterName" -}}
{{- printf "%s:%s" (include "webhook-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Unlike the names of RBAC, that of a policy may not have a colon. */}}
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

{{/* What the trigger port speaks. */}}
{{- define "webhook-operator.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.secretName)) -}}
{{- end -}}

{{/* Tells the Service of the admin port apart, for who scrapes it. */}}
{{- define "webhook-operator.adminLabels" -}}
app.kubernetes.io/component: admin
{{- end -}}

{{/* Whole seconds or minutes as a number of seconds. */}}
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

{{/* The label `job` of what Prometheus has of this release: no other release has it. */}}
{{- define "webhook-operator.job" -}}
{{- default (printf "%s/%s" .Release.Namespace (include "webhook-operator.fullname" .)) .Values.prometheusRule.job -}}
{{- end -}}
