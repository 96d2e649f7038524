// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {HandedOver} from "./HandedOver.sol";
import {Identity} from "./Identity.sol";
import {WalletLinks} from "./WalletLinks.sol";
import {IClaimIssuer} from "./interfaces/IClaimIssuer.sol";
import {IIdFactory} from "./interfaces/IIdFactory.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {IIdentityFactory} from "./interfaces/IIdentityFactory.sol";
import {CloneArguments} from "./libraries/CloneArguments.sol";
import {Ids} from "./libraries/Ids.sol";
import {KeyTypes, Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title Makes identities
/// @dev Its owner names deployers and makes salted identities, and has no power over an identity or a link that is there.
contract IdentityFactory is WalletLinks, HandedOver, EIP712 {
    using CloneArguments for bytes;

    /// @dev Three words: a signed claim without a uri. Higher where new state is dearer against code (EIP-8037: about 160).
    uint256 private constant CODE_THRESHOLD = 96;
    bytes32 private constant CONSENT = keccak256("Consent(address wallet,address adder,uint256 deadline)");

    /// @inheritdoc IIdentityFactory
    address public immutable implementation;
    /// @inheritdoc IIdentityFactory
    mapping(address issuer => bool) public isDeployer;
    /// @inheritdoc IIdFactory
    mapping(address tokenFactory => bool) public isTokenFactory;
    mapping(address identity => address token) private _tokens;
    mapping(bytes32 salt => bool) private _saltTaken;

    constructor(address owner_) Ownable(owner_) EIP712("Claimwright IdentityFactory", "1") {
        implementation = address(new Identity(CODE_THRESHOLD));
    }

    /// @inheritdoc IIdentityFactory
    function createFor(address wallet, address adder) external returns (address identity) {
        if (msg.sender != wallet) _checkDeployer(adder);
        return _createFor(wallet, adder);
    }

    /// @inheritdoc IIdentityFactory
    function createMany(address[] calldata wallets, address adder) external returns (address[] memory identities) {
        _checkDeployer(adder);
        identities = new address[](wallets.length);
        for (uint256 i = 0; i < wallets.length; ++i) {
            address wallet = wallets[i];
            if (wallet == address(0) || getIdentity(wallet) != address(0)) continue;
            if (predict(wallet, adder).code.length == 0) identities[i] = _createFor(wallet, adder);
        }
    }

    /// @inheritdoc IIdentityFactory
    function createForWithConsent(address wallet, address adder, uint256 deadline, bytes calldata signature)
        external
        returns (address identity)
    {
        if (block.timestamp > deadline) revert Expired(deadline);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CONSENT, wallet, adder, deadline)));
        if (!_consents(wallet, digest, signature)) revert InvalidConsent();
        return _createFor(wallet, adder);
    }

    /// @inheritdoc IIdFactory
    function createIdentity(address _wallet, string calldata _salt) external onlyOwner returns (address identity) {
        if (_wallet == address(0)) revert ZeroAddress();
        identity = _createSalted(_wallet, _salt, string.concat("OID", _salt));
        _linkFirst(_wallet, identity);
    }

    /// @inheritdoc IIdFactory
    function createIdentityWithManagementKeys(
        address _wallet,
        string calldata _salt,
        bytes32[] calldata _managementKeys
    ) external onlyOwner returns (address identity) {
        if (_wallet == address(0)) revert ZeroAddress();
        if (_managementKeys.length == 0) revert EmptyListOfKeys();
        // The factory is the first manager for as long as this takes.
        identity = _createSalted(address(this), _salt, string.concat("OID", _salt));
        for (uint256 i = 0; i < _managementKeys.length; ++i) {
            if (_managementKeys[i] == Ids.keyOf(_wallet)) revert WalletInManagementKeys();
            IIdentity(identity).addKey(_managementKeys[i], Purposes.MANAGEMENT, KeyTypes.ECDSA);
        }
        IIdentity(identity).removeKey(Ids.keyOf(address(this)), Purposes.MANAGEMENT);
        _link(_wallet, identity);
    }

    /// @inheritdoc IIdFactory
    function createTokenIdentity(address _token, address _tokenOwner, string calldata _salt)
        external
        returns (address identity)
    {
        if (!isTokenFactory[msg.sender] && msg.sender != owner()) revert OnlyFactoryOrOwnerCanCall();
        if (_token == address(0) || _tokenOwner == address(0)) revert ZeroAddress();
        identity = _createSalted(_tokenOwner, _salt, string.concat("Token", _salt));
        _tokens[identity] = _token;
        _linkToken(_token, identity);
    }

    /// @inheritdoc IIdFactory
    function addTokenFactory(address _factory) external onlyOwner {
        if (_factory == address(0)) revert ZeroAddress();
        if (isTokenFactory[_factory]) revert AlreadyAFactory(_factory);
        isTokenFactory[_factory] = true;
        emit TokenFactoryAdded(_factory);
    }

    /// @inheritdoc IIdFactory
    function removeTokenFactory(address _factory) external onlyOwner {
        if (!isTokenFactory[_factory]) revert NotAFactory(_factory);
        isTokenFactory[_factory] = false;
        emit TokenFactoryRemoved(_factory);
    }

    /// @inheritdoc IIdentityFactory
    function setDeployer(address issuer, bool allowed) external onlyOwner {
        if (issuer == address(0)) revert ZeroAddress();
        isDeployer[issuer] = allowed;
        emit DeployerSet(issuer, allowed);
    }

    /// @inheritdoc IIdFactory
    function getToken(address _identity) external view returns (address) {
        return _tokens[_identity];
    }

    /// @inheritdoc IIdFactory
    function isSaltTaken(string calldata _salt) external view returns (bool) {
        return _saltTaken[keccak256(bytes(_salt))];
    }

    /// @inheritdoc IIdFactory
    function implementationAuthority() external view returns (address) {
        return address(this);
    }

    /// @inheritdoc IIdentityFactory
    function getImplementation() external view returns (address) {
        return implementation;
    }

    /// @inheritdoc IIdentityFactory
    /// @dev No bookkeeping: an address that follows from what its own code says can only have been made here.
    function isIdentity(address identity) public view override returns (bool) {
        bytes memory arguments = CloneArguments.read(identity);
        return arguments.length != 0 && _predict(arguments, arguments.salt()) == identity;
    }

    /// @inheritdoc IIdentityFactory
    function predict(address wallet, address adder) public view returns (address) {
        return _predict(CloneArguments.encode(wallet, adder), bytes32(0));
    }

    /// @inheritdoc IIdentityFactory
    function standings(address issuer, address[] calldata wallets, uint256[] calldata topics)
        external
        view
        returns (address[] memory identities, uint256[] memory epochs)
    {
        if (wallets.length != topics.length) revert LengthMismatch();
        identities = new address[](wallets.length);
        epochs = new uint256[](wallets.length);
        for (uint256 i = 0; i < wallets.length; ++i) {
            address identity = getIdentity(wallets[i]);
            if (identity == address(0)) identity = predict(wallets[i], issuer);
            identities[i] = identity;
            epochs[i] = IClaimIssuer(issuer).epochOf(identity, topics[i]);
        }
    }

    function _createFor(address wallet, address adder) private returns (address identity) {
        if (wallet == address(0)) revert ZeroAddress();
        _checkUnlinked(wallet);
        bytes memory arguments = CloneArguments.encode(wallet, adder);
        identity = _predict(arguments, bytes32(0));
        if (identity.code.length != 0) revert IdentityExists(identity);
        _deploy(arguments, bytes32(0));
        _linkFirst(wallet, identity);
    }

    /// @param full the salt with the prefix of its kind
    function _createSalted(address firstManager, string calldata salt, string memory full)
        private
        returns (address identity)
    {
        if (bytes(salt).length == 0) revert EmptySalt();
        bytes32 hash = keccak256(bytes(full));
        if (_saltTaken[hash]) revert SaltTaken(full);
        _saltTaken[hash] = true;
        return _deploy(CloneArguments.encodeSalted(firstManager, hash), hash);
    }

    function _deploy(bytes memory arguments, bytes32 salt) private returns (address identity) {
        identity = Clones.cloneDeterministicWithImmutableArgs(implementation, arguments, salt);
        emit Deployed(identity);
    }

    function _predict(bytes memory arguments, bytes32 salt) private view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(implementation, arguments, salt);
    }

    function _checkDeployer(address adder) private view {
        if (msg.sender != adder || !isDeployer[msg.sender]) revert NotAllowedToCreate(msg.sender);
    }

    /// @dev The plain signature first: an account with code may have a key too (EIP-7702).
    function _consents(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (wallet == address(0)) return false;
        if (Signatures.recover(digest, signature) == wallet) return true;
        return wallet.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(wallet, digest, signature);
    }
}
