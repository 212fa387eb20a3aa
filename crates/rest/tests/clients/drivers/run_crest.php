<?php
// Sends the requests of CRest, which is a file to copy and not in any registry. Its functions `call` and `callBatch`
// build the form, and `callCurl` sends it to `….json`. Versions up to 1.33 call a webhook by GET.

[, $form, $base] = $argv;

function emit(array $observed): void
{
    echo json_encode($observed), "\n";
}

function callCurl(string $form, string $base, array $auth, string $method, array $params): array
{
    if (isset($auth['token'])) {
        $url = "$base/rest/$method.json";
        $params['auth'] = $auth['token'];
    } else {
        $url = "$base/rest/{$auth['user']}/{$auth['secret']}/$method.json";
    }
    $fields = http_build_query($params);
    if ($form === 'get') {
        $url .= "?$fields";
        $fields = '';
    }
    $curl = curl_init();
    curl_setopt($curl, CURLOPT_URL, $url);
    curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($curl, CURLOPT_POSTREDIR, 10);
    curl_setopt($curl, CURLOPT_USERAGENT, 'Bitrix24 CRest PHP 1.36');
    if ($fields) {
        curl_setopt($curl, CURLOPT_POST, true);
        curl_setopt($curl, CURLOPT_POSTFIELDS, $fields);
    }
    curl_setopt($curl, CURLOPT_FOLLOWLOCATION, 1);
    return json_decode(curl_exec($curl), true, flags: JSON_THROW_ON_ERROR);
}

function batch(array $call): array
{
    $commands = [];
    foreach ($call['commands'] as $i => [$id, $method, $params]) {
        $commands[$id ?? $i] = $method . ($params ? '?' . http_build_query($params) : '');
    }
    return ['cmd' => $commands, 'halt' => (int) $call['halt']];
}

function refusal(array $error): array
{
    $observed = ['error' => $error['error'], 'described' => $error['error_description'] !== ''];
    return $observed + (isset($error['argument']) ? ['argument' => $error['argument']] : []);
}

function observe(string $form, string $base, array $call): array
{
    $batch = isset($call['commands']);
    $params = $batch ? batch($call) : $call['params'];
    $response = callCurl($form, $base, $call['auth'], $batch ? 'batch' : $call['method'], $params);
    if (!empty($response['error'])) {
        return refusal($response);
    }
    return $batch
        ? [
            'result' => (object) $response['result']['result'],
            'result_error' => (object) array_map(refusal(...), $response['result']['result_error']),
        ]
        : ['result' => $response['result']];
}

// CRest ignores the status.
emit([
    'refused' => ['error'],
    'rejected' => ['error'],
    'batch' => ['result', 'result_error'],
    'batch_refused' => ['result', 'result_error'],
    'unsupported' => ['a start-up call'],
]);
while (($line = fgets(STDIN)) !== false) {
    emit(observe($form, $base, json_decode($line, true, flags: JSON_THROW_ON_ERROR)));
}
